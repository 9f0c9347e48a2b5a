package dev.baton.serve.http;

import io.netty.channel.EventLoop;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Carries one step's outputs to the event loops: {@link #add} collects them by loop, {@link #deliver} wakes each loop
 * once, and outputs of one connection that follow each other leave it in one flush. What nobody delivers (an output
 * outside a step) goes out with the next sweep, at most {@value #SWEEP_MILLIS} ms later.
 */
public final class StepDelivery {
    private static final System.Logger LOG = System.getLogger(StepDelivery.class.getName());
    private static final int SWEEP_MILLIS = 100;

    /** Outputs written between two flushes: so few that the bytes are still in the processor's cache when they are sent. */
    private static final int OUTPUTS_A_FLUSH = 32;

    private final Map<EventLoop, Batch> batches;

    StepDelivery(Iterable<LoopState> loops) {
        batches = java.util.stream.StreamSupport.stream(loops.spliterator(), false)
                .collect(Collectors.toUnmodifiableMap(state -> state.loop, Batch::new));
        for (Batch batch : batches.values()) {
            batch.state.loop.scheduleWithFixedDelay(batch::sweep, SWEEP_MILLIS, SWEEP_MILLIS, TimeUnit.MILLISECONDS);
        }
    }

    /** Where the outputs for connections of this loop are put. */
    public Batch batch(EventLoop loop) {
        Batch batch = batches.get(loop);
        if (batch == null) {
            throw new IllegalArgumentException("not a loop of this server");
        }
        return batch;
    }

    /** Ends a step: hands every collected output to its loop. */
    public void deliver() {
        for (Batch batch : batches.values()) {
            batch.deliver();
        }
    }

    /** The outputs of one loop's connections since the last delivery. */
    public static final class Batch implements Runnable {
        private final LoopState state;

        /** Receiver, item, receiver, item. */
        private @Nullable Object[] entries = new Object[128];

        /** The array that the loop empties while the next step fills the other. */
        private @Nullable Object[] spare = new Object[128];

        private int size;
        private boolean scheduled;

        Batch(LoopState state) {
            this.state = state;
        }

        /** Any thread: {@code receiver} gets {@code item} on the loop, in the order of the calls. */
        public synchronized <T> void add(Consumer<? super T> receiver, T item) {
            if (size == entries.length) {
                entries = Arrays.copyOf(entries, size * 2);
            }
            entries[size++] = receiver;
            entries[size++] = item;
        }

        /** Any thread: hands over what was collected. */
        public void deliver() {
            synchronized (this) {
                if (size == 0 || scheduled) {
                    return;
                }
                scheduled = true;
            }
            try {
                state.loop.execute(this);
            } catch (RejectedExecutionException e) {
                synchronized (this) {
                    scheduled = false;
                }
            }
        }

        private void sweep() {
            synchronized (this) {
                if (size == 0) {
                    return;
                }
            }
            run();
        }

        /** On the loop. */
        @Override
        public void run() {
            @Nullable Object[] taken;
            int count;
            synchronized (this) {
                taken = entries;
                count = size;
                entries = spare;
                size = 0;
                scheduled = false;
            }
            for (int i = 0; i < count; i += 2) {
                try {
                    @SuppressWarnings("unchecked") // it gets back what came with it
                    Consumer<Object> receiver = (Consumer<Object>) taken[i];
                    receiver.accept(taken[i + 1]);
                } catch (RuntimeException e) {
                    LOG.log(System.Logger.Level.ERROR, "An output could not be written", e);
                }
                taken[i] = null;
                taken[i + 1] = null;
                if ((i / 2 + 1) % OUTPUTS_A_FLUSH == 0) {
                    state.flushAll();
                }
            }
            spare = taken;
            state.flushAll();
        }
    }
}
