package org.karakp2p;

/** The fate of a confirmed publish: the message id, and how many peers it was queued for. */
public record Published(byte[] id, long peers) {}
