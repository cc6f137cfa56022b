"""What a Jitsi server reads: rooms, validity, tokens and links; pure.

A *token* (JWT) carries *claims* that admit its bearer to one *room* during one *validity*; a *join
link* carries the token.
Minting one's own is `rooms`, `validity`, `tokens` and `links`; what somebody else made is taken
apart in `claims` and `links`, and judged in `admission` and `moderators`.
`pitfalls` says what lets a server refuse or ignore tokens that are right in themselves.
"""
