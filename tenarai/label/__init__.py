"""The label page: one doubtful image at a time, and a tap moves its file into the folder of its label.

desk    which images are asked about, what is answered, and how that is undone
places  moves files, in a local folder or on Google Drive
app     the page, over HTTP
"""
