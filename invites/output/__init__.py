"""The folder that a build writes, and how it takes the place of an earlier one.

A *form* is how messages stand in it: a tree of files, one mbox, one tar.
The *manifest* lists them for programs, the *index* (`report.page`) for people; neither holds a
token or a join link.
An *earlier* build is known by its manifest's header; everything else is somebody's, and stays.
"""
