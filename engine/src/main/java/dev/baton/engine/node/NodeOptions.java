package dev.baton.engine.node;

import dev.baton.engine.EngineException;
import java.time.Duration;

/**
 * Which node this is and where the nodes meet.
 *
 * @param nodes JVMs of the server ({@code --nnodes})
 * @param node this one, 0 to nodes - 1 ({@code --node-rank})
 * @param host where node 0 listens ({@code --dist-init-addr})
 * @param port its port
 * @param joinLimit how long the nodes wait for each other at the start ({@code --dist-timeout})
 * @param silence how long a node may not be heard of later on
 */
public record NodeOptions(int nodes, int node, String host, int port, Duration joinLimit, Duration silence) {
    private static final Duration LONGEST_SILENCE = Duration.ofSeconds(30);

    public NodeOptions {
        if (nodes < 2 || node < 0 || node >= nodes) {
            throw invalid("--node-rank must be in [0, --nnodes): got " + node + " of " + nodes);
        }
    }

    /**
     * @param address host:port
     * @throws EngineException CONFIGURATION when it is not
     */
    public static NodeOptions of(int nodes, int node, String address, Duration joinLimit) {
        int colon = address.lastIndexOf(':');
        int port = -1;
        try {
            port = Integer.parseInt(address.substring(colon + 1));
        } catch (NumberFormatException e) {
            // Said below, with the whole value.
        }
        if (colon < 1 || port < 1 || port > 65_535) {
            throw invalid("--dist-init-addr must be HOST:PORT of node 0, got '" + address + "'");
        }
        String host = address.substring(0, colon).replace("[", "").replace("]", "");
        Duration silence = joinLimit.compareTo(LONGEST_SILENCE) < 0 ? joinLimit : LONGEST_SILENCE;
        return new NodeOptions(nodes, node, host, port, joinLimit, silence);
    }

    /** host:port of node 0. */
    public String address() {
        return host + ":" + port;
    }

    private static EngineException invalid(String message) {
        return new EngineException(EngineException.Code.CONFIGURATION, message);
    }
}
