/**
 * HTTP/1.1 on Netty, as the server and the router use it: bind, exchanges, streamed replies, and the hand-over of one
 * step's outputs to the event loops as one batch.
 */
package dev.baton.serve.http;
