/** Replies of the dialect, written straight to JSON bytes. */
package dev.baton.protocol.reply;
