"""Deliveries: what carries messages to their receivers, a folder or a mail server (SMTP).

A *message* is ready to go, to one mailbox.
A *relay* is the mail server that takes messages; a *connection* to it becomes a *session* after
login, and a *worker* has one session at a time.
An *outcome* is what became of a message; the *journal* makes outcomes durable, and hears of each
message before it can leave.
"""
