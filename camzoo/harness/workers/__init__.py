"""What makes the result of each stage: plain functions that fill a folder.

A change of the code in here, or of anything it imports, makes the results of the stage anew. So
nothing is imported in here that makes no result: keys, plans, pages.
"""
