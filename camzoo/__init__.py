"""Which class activation map gives the best masks, by how much, and can the number be believed?"""

__version__ = "0.1.0"
