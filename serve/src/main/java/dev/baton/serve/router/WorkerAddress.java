package dev.baton.serve.router;

import dev.baton.protocol.ProtocolException;
import java.net.URI;
import java.net.URISyntaxException;
import org.jspecify.annotations.Nullable;

/**
 * Where a worker listens.
 *
 * @param url {@code http://host:port}, no slash at the end
 * @param bootstrapPort of a prefill server's bootstrap registry; null lets the worker use its own
 */
public record WorkerAddress(String url, @Nullable Integer bootstrapPort) {
    public WorkerAddress {
        String trimmed = url.endsWith("/") ? url.substring(0, url.length() - 1) : url;
        url = trimmed;
        try {
            URI uri = new URI(trimmed);
            if (!"http".equals(uri.getScheme())
                    || uri.getHost() == null
                    || !uri.getPath().isEmpty()) {
                throw new ProtocolException(
                        ProtocolException.Code.INVALID_FLAG,
                        "worker URL '" + trimmed + "' is not of the form http://host:port");
            }
        } catch (URISyntaxException e) {
            throw new ProtocolException(
                    ProtocolException.Code.INVALID_FLAG, "worker URL '" + trimmed + "': " + e.getMessage(), e);
        }
    }

    /** A worker without bootstrap registry. */
    public static WorkerAddress of(String url) {
        return new WorkerAddress(url, null);
    }

    /** The host of the URL, brackets of an IPv6 address left out. */
    public String host() {
        String host = URI.create(url).getHost();
        return host.startsWith("[") ? host.substring(1, host.length() - 1) : host;
    }

    /** The port of the URL. */
    public int port() {
        int port = URI.create(url).getPort();
        return port < 0 ? 80 : port;
    }
}
