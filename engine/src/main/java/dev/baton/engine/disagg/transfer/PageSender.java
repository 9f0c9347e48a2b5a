package dev.baton.engine.disagg.transfer;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;

/** Moves pages of one prefill rank to one decode rank: into its memory, or as DATA frames. Used by the writing thread. */
sealed interface PageSender extends AutoCloseable permits HostPageSender, DevicePageSender {
    /** Bytes of one page over all travelling buffers. */
    long pageBytes();

    /** Bytes under way from which on nothing is begun before some have landed; 0 where each job is done when it has begun. */
    long mostBegunBytes();

    /** Whether the pages of a job are written already, so that beginning it waits for nothing. */
    boolean isReady(PrefillConnection.Pages job);

    /**
     * Begins to send a job's pages, as soon as they are written; ends early when the room has failed or {@code stop} is set.
     *
     * @return bytes
     */
    long begin(PrefillConnection.Pages job, AtomicBoolean stop) throws IOException;

    /** The number of the flight with which everything begun so far lands; numbers grow. */
    long flight();

    /** Whether everything of this flight and those before has left this side's memory and is where it belongs or on its way. */
    boolean hasLanded(long flight);

    /** Sends off what waits for company. */
    void push();

    /** Waits until everything that was begun has left this side's memory and is where it belongs or on its way there. */
    void finish();

    /** Gives the decode rank's memory back. */
    @Override
    void close();

    /**
     * The buffers that travel, each on both sides.
     *
     * @param copies how pages lie on both sides
     * @param sources as many
     * @param targets as many, or none where pages go over the socket
     */
    record Buffers(CachePairing.Part part, PageCopy[] copies, MemorySegment[] sources, MemorySegment[] targets) {
        /** @param targets all buffers of the decode rank; empty when pages go over the socket */
        static Buffers of(KvRegion source, Handshake.Hello hello, List<MemorySegment> targets) {
            CachePairing.Part part = hello.part();
            PageCopy[] copies = PageCopy.of(source.layout(), hello.layout(), part);
            MemorySegment[] from = new MemorySegment[copies.length];
            MemorySegment[] to = new MemorySegment[targets.isEmpty() ? 0 : copies.length];
            for (int i = 0; i < copies.length; i++) {
                from[i] = source.buffers().get(part.bufferIn(source.layout(), i));
                if (!targets.isEmpty()) {
                    to[i] = targets.get(part.bufferIn(hello.layout(), i));
                }
            }
            return new Buffers(part, copies, from, to);
        }

        /** Whether the decode rank's memory is reached. */
        boolean areDirect() {
            return targets.length > 0;
        }

        /** Whether a job's pages of buffer {@code i} are to be sent. */
        boolean isOf(PrefillConnection.Pages job, int i) {
            int layer = part.layer(i);
            return layer >= job.fromLayer() && layer < job.toLayer();
        }

        /** Which buffers travel of each layer of the model, up to the last that travels. */
        int[][] ofLayer() {
            int layers = 0;
            for (int i = 0; i < copies.length; i++) {
                layers = Math.max(layers, part.layer(i) + 1);
            }
            int[][] found = new int[layers][];
            for (int layer = 0; layer < layers; layer++) {
                int wanted = layer;
                found[layer] = IntStream.range(0, copies.length)
                        .filter(i -> part.layer(i) == wanted)
                        .toArray();
            }
            return found;
        }

        /** Bytes of one page over all buffers. */
        long pageBytes() {
            long sum = 0;
            for (PageCopy copy : copies) {
                sum += copy.pageBytes();
            }
            return sum;
        }
    }
}
