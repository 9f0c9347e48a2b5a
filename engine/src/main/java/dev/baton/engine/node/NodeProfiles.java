package dev.baton.engine.node;

import dev.baton.engine.ProfileControl;
import dev.baton.engine.parallel.RankGroup;
import dev.baton.protocol.ProfileRequest;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * Profiles of a server of several nodes: each writes the files of its own ranks, on its own host, in the folder that the
 * request names. A merged file holds node 0's ranks.
 */
public final class NodeProfiles implements ProfileControl {
    private final NodeShare share;
    private final RankGroup group;
    private final ProfileControl own;

    /**
     * @param group the ranks of node 0
     * @param own records them
     */
    public NodeProfiles(NodeShare share, RankGroup group, ProfileControl own) {
        this.share = share;
        this.group = group;
        this.own = own;
    }

    /** Every node begins with the same step. */
    @Override
    public CompletableFuture<Void> start(ProfileRequest request) {
        List<CompletableFuture<Void>> both = new ArrayList<>();
        group.inOrder(() -> {
            both.add(share.ask(NodeMessages.Kind.PROFILE_START, body -> NodeFollower.profile(body, request)));
            both.add(own.start(request));
        });
        return all(both);
    }

    @Override
    public CompletableFuture<Void> stop() {
        List<CompletableFuture<Void>> both = new ArrayList<>();
        group.inOrder(() -> {
            both.add(share.ask(NodeMessages.Kind.PROFILE_STOP, body -> {}));
            both.add(own.stop());
        });
        return all(both);
    }

    private static CompletableFuture<Void> all(List<CompletableFuture<Void>> futures) {
        return CompletableFuture.allOf(futures.toArray(CompletableFuture[]::new));
    }
}
