"""The filter language: text → tree → checked tree, and its canonical text. No I/O.

What each field and operator means is written for users in docs/manual/filters.md, and as a program in
`reference`.
"""
