package dev.baton.engine.disagg;

import dev.baton.engine.disagg.RoleMessage.RoomState;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Looks at the rooms of a node that is not node 0, every millisecond while there are any, and tells what has changed. (A
 * room's state also changes by itself, when a deadline passes.)
 */
final class RoomWatch implements AutoCloseable {
    private static final Duration BETWEEN = Duration.ofMillis(1);

    private final BiConsumer<Integer, RoomState> teller;
    /** Guarded by this. */
    private final Map<Key, Watched> rooms = new HashMap<>();

    private boolean closed;

    private record Key(int dp, long room) {}

    private static final class Watched {
        private final Supplier<RoomState> look;
        private @Nullable RoomState told;

        Watched(Supplier<RoomState> look) {
            this.look = look;
        }
    }

    /** @param teller is given the group and what has changed, on this watch's thread */
    RoomWatch(BiConsumer<Integer, RoomState> teller) {
        this.teller = teller;
        Thread.ofPlatform().daemon().name("kv-room-watch").start(this::run);
    }

    synchronized void add(int dp, long room, Supplier<RoomState> look) {
        rooms.put(new Key(dp, room), new Watched(look));
        notifyAll();
    }

    synchronized void remove(int dp, long room) {
        rooms.remove(new Key(dp, room));
    }

    private void run() {
        try {
            while (true) {
                Map<Key, Watched> now;
                synchronized (this) {
                    while (rooms.isEmpty() && !closed) {
                        wait();
                    }
                    if (closed) {
                        return;
                    }
                    now = Map.copyOf(rooms);
                }
                now.forEach((key, watched) -> {
                    RoomState state = watched.look.get();
                    if (!state.equals(watched.told)) {
                        watched.told = state;
                        teller.accept(key.dp, state);
                    }
                });
                Thread.sleep(BETWEEN);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public synchronized void close() {
        closed = true;
        notifyAll();
    }
}
