"""What a plug-in has to hold to, tried out."""
