package dev.baton.tensor.parallel;

import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** One stage of a chain that ends where it began: takes a message, adds one, hands it on; random pauses everywhere. */
final class ChainStage implements Callable<Integer> {
    static final int COLUMNS = 7;

    private final PointToPoint links;
    private final Arena arena;
    private final SplittableRandom random;
    private final int messages;
    private final int inFlight;

    ChainStage(PointToPoint links, Arena arena, int seed, int messages, int inFlight) {
        this.links = links;
        this.arena = arena;
        this.random = new SplittableRandom(seed * 31L + links.rank());
        this.messages = messages;
        this.inFlight = inFlight;
    }

    @Override
    public Integer call() {
        return links.rank() == 0 ? first() : later();
    }

    /** Sends message m; lets at most so many travel before it takes back the oldest. */
    private int first() {
        ArrayDeque<Integer> travelling = new ArrayDeque<>();
        ArrayDeque<Transfer> returns = new ArrayDeque<>();
        ArrayDeque<Tensor> returned = new ArrayDeque<>();
        ArrayDeque<Transfer> sends = new ArrayDeque<>();
        int right = 0;
        for (int m = 0; m < messages || !travelling.isEmpty(); ) {
            pause();
            if (m < messages && travelling.size() < inFlight) {
                Tensor back = vector(arena, 1);
                returns.addLast(links.receive(links.size() - 1, List.of(back)));
                returned.addLast(back);
                Tensor x = matrix(arena, 1 + m % 5);
                fill(x, m * 1000);
                if (sends.size() == links.depth()) {
                    sends.removeFirst().await();
                }
                sends.addLast(links.send(1, List.of(x)));
                travelling.addLast(m++);
                continue;
            }
            int sent = travelling.removeFirst();
            returns.removeFirst().await();
            int answer = returned.removeFirst().memory().getAtIndex(ValueLayout.JAVA_INT, 0);
            if (answer != sent * 1000 + links.size() - 2) {
                throw new AssertionError("message " + sent + " came back as " + answer);
            }
            right++;
        }
        sends.forEach(Transfer::await);
        return right;
    }

    private int later() {
        int last = links.size() - 1;
        int depth = links.depth();
        Tensor[] buffers = new Tensor[depth];
        Transfer[] receives = new Transfer[depth];
        Transfer[] sends = new Transfer[depth];
        for (int i = 0; i < depth; i++) {
            buffers[i] = matrix(arena, 5);
            receives[i] = links.receive(links.rank() - 1, List.of(buffers[i]));
        }
        for (int m = 0; m < messages; m++) {
            int i = m % depth;
            pause();
            int rows = receives[i].await().rows();
            requireFilled(buffers[i], rows, m * 1000 + links.rank() - 1);
            if (links.rank() == last) {
                Tensor answer = vector(arena, 1);
                answer.memory().setAtIndex(ValueLayout.JAVA_INT, 0, (int)
                        buffers[i].memory().getAtIndex(ValueLayout.JAVA_FLOAT, 0));
                links.send(0, List.of(answer)).await();
            } else {
                Tensor out = buffers[i].rowRange(0, rows);
                fill(out, m * 1000 + links.rank());
                sends[i] = links.send(links.rank() + 1, List.of(out));
                // The buffer is read until the send has ended.
                sends[i].await();
            }
            receives[i] = links.receive(links.rank() - 1, List.of(buffers[i]));
        }
        return messages;
    }

    private void pause() {
        switch (random.nextInt(6)) {
            case 0 -> LockSupport.parkNanos(random.nextInt(300_000));
            case 1 -> Thread.yield();
            default -> {}
        }
    }

    /** Lets messages travel round all stages; each says how many it has seen. */
    static List<Integer> run(List<PointToPoint> stages, int seed, int messages, int inFlight) throws Exception {
        try (ExecutorService pool = Executors.newFixedThreadPool(stages.size());
                Arena arena = Arena.ofShared()) {
            List<Future<Integer>> futures = new ArrayList<>();
            for (PointToPoint links : stages) {
                futures.add(pool.submit(new ChainStage(links, arena, seed, messages, inFlight)));
            }
            List<Integer> seen = new ArrayList<>();
            for (Future<Integer> future : futures) {
                seen.add(future.get(60, TimeUnit.SECONDS));
            }
            return seen;
        }
    }

    static Tensor matrix(Arena arena, int rows) {
        return Tensor.dense(arena.allocate(4L * rows * COLUMNS, 64), DType.F32, rows, COLUMNS);
    }

    static Tensor vector(Arena arena, int length) {
        return Tensor.dense(arena.allocate(4L * length, 64), DType.I32, length);
    }

    static void fill(Tensor x, int value) {
        for (int i = 0; i < x.elements(); i++) {
            x.memory().setAtIndex(ValueLayout.JAVA_FLOAT, i, value + i);
        }
    }

    static void requireFilled(Tensor x, int rows, int value) {
        for (int i = 0; i < rows * COLUMNS; i++) {
            if (x.memory().getAtIndex(ValueLayout.JAVA_FLOAT, i) != value + i) {
                throw new AssertionError("element " + i + " of message " + value + " is "
                        + x.memory().getAtIndex(ValueLayout.JAVA_FLOAT, i));
            }
        }
    }
}
