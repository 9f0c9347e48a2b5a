package dev.baton.engine.disagg;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicLong;

/** Keeps the KV of retracted requests on the host of every node that has ranks of the group. On node 0. */
final class NodeOffload implements HostOffload {
    private final HostOffload local;
    private final GroupNodes others;
    private final AtomicLong copies = new AtomicLong();

    NodeOffload(HostOffload local, GroupNodes others) {
        this.local = local;
        this.others = others;
    }

    /** @param number the other nodes' name for it */
    private record Copy(long number, Saved here, GroupNodes others, CompletableFuture<Void> done) implements Saved {
        @Override
        public void discard() {
            here.discard();
            others.tell(new RoleMessage.Discard(number));
        }
    }

    @Override
    public Saved save(int[] slots) {
        long number = copies.incrementAndGet();
        Saved here = local.save(slots);
        CompletableFuture<Void> there = others.ask(new RoleMessage.Save(number, slots));
        return new Copy(number, here, others, CompletableFuture.allOf(here.done(), there));
    }

    @Override
    public void restore(Saved saved, int[] slots) {
        Copy copy = (Copy) saved;
        local.restore(copy.here, slots);
        others.tell(new RoleMessage.Restore(copy.number, slots));
    }
}
