package dev.baton.engine.node;

import java.util.concurrent.CompletableFuture;

/**
 * What a node that is not node 0 does for half of a prefill/decode pair, beside its ranks' steps. All on the messages'
 * thread, in the order in which node 0 said it.
 */
public interface NodeRole {
    /** Of a server that is no half of a pair. */
    NodeRole NONE = new NodeRole() {};

    /** Node 0 has said something. */
    default void told(WireBuffer body) {
        throw new IllegalStateException("this server is no half of a pair");
    }

    /** Node 0 has asked for something; completes when it is done. */
    default CompletableFuture<Void> asked(WireBuffer body) {
        return CompletableFuture.failedFuture(new IllegalStateException("this server is no half of a pair"));
    }

    /** The ranks of this node are about to be given a step. */
    default void beforeStep() {}
}
