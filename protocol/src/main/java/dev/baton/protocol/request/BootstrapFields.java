package dev.baton.protocol.request;

import org.jspecify.annotations.Nullable;

/**
 * Where the other half of a disaggregated request is; a router adds it to the body.
 *
 * @param host host of the prefill server's bootstrap server, null when not given
 * @param port its port; null takes the server's own {@code --disaggregation-bootstrap-port}
 * @param room the key that joins the two halves, null when not given
 */
public record BootstrapFields(
        @Nullable String host,
        @Nullable Integer port,
        @Nullable Long room) {
    /** Nothing given. */
    public static final BootstrapFields NONE = new BootstrapFields(null, null, null);
}
