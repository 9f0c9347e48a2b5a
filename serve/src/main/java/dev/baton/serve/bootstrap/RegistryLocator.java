package dev.baton.serve.bootstrap;

import dev.baton.engine.disagg.transfer.PrefillLocator;
import dev.baton.engine.request.EngineRequest.Bootstrap;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Finds prefill ranks through their bootstrap server and remembers them. The DP group of a room is
 * {@code room mod dp_size}, as on the prefill side.
 */
public final class RegistryLocator implements PrefillLocator {
    private final BootstrapClient client;
    private final Map<String, List<Group>> known = new ConcurrentHashMap<>();

    /**
     * @param client closed with this
     */
    public RegistryLocator(BootstrapClient client) {
        this.client = client;
    }

    @Override
    public Group locate(Bootstrap bootstrap) throws IOException, InterruptedException {
        String server = name(bootstrap);
        List<Group> groups = known.get(server);
        if (groups == null) {
            groups = ask(bootstrap);
            known.put(server, groups);
        }
        return groups.get((int) Math.floorMod(bootstrap.room(), (long) groups.size()));
    }

    private List<Group> ask(Bootstrap bootstrap) throws IOException, InterruptedException {
        BootstrapClient.Sizes sizes = client.sizes(bootstrap.host(), bootstrap.port());
        List<Group> groups = new ArrayList<>();
        for (int dp = 0; dp < sizes.dpSize(); dp++) {
            List<InetSocketAddress> ranks = new ArrayList<>();
            for (int tp = 0; tp < sizes.tpSize(); tp++) {
                ranks.add(client.rank(bootstrap.host(), bootstrap.port(), tp, dp, 0));
            }
            groups.add(new Group(ranks));
        }
        return List.copyOf(groups);
    }

    @Override
    public void forget(Bootstrap bootstrap) {
        known.remove(name(bootstrap));
    }

    private static String name(Bootstrap bootstrap) {
        return bootstrap.host() + ":" + bootstrap.port();
    }

    @Override
    public void close() {
        client.close();
    }
}
