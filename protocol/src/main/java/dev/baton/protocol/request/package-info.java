/** Request bodies of the dialect, read from JSON bytes and validated. */
package dev.baton.protocol.request;
