package dev.baton.engine.arch;

import dev.baton.engine.EngineException;
import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.parallel.Communicator;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Dispatch by one all-to-all of rows: a row is a token's hidden state in the wire format, then its expert ids (-1 where
 * another rank computes) and their weights. A token goes once to each rank that holds any of its experts. Rows lie by
 * destination; in low latency mode each destination's part has a fixed size. Host memory only.
 */
final class RowDispatcher implements Dispatcher {
    private final AllToAll mode;
    private final DispatchOptions options;
    private final int hidden;
    private final int topK;
    private final int ranks;
    private final int slotsPerRank;
    private final int rowBytes;
    private final int fanOut;
    private final Buffers normal;
    private final Buffers fixed;

    /**
     * Buffers of a step.
     *
     * @param send U8 rows that leave, then results that come back
     * @param receive U8 rows that arrive, then results that leave
     * @param x [R, hidden]
     * @param ids I32 [R, topK]
     * @param weights F32 [R, topK]
     * @param results [R, hidden]
     */
    private record Buffers(
            BufferSpec send,
            BufferSpec receive,
            BufferSpec x,
            BufferSpec ids,
            BufferSpec weights,
            BufferSpec results) {}

    /** @param slotsPerRank physical slots of a layer on each rank */
    RowDispatcher(
            AllToAll mode,
            DispatchOptions options,
            int hidden,
            int topK,
            int ranks,
            int slotsPerRank,
            WorkspacePlan workspace) {
        this.mode = mode;
        this.options = options;
        this.hidden = hidden;
        this.topK = topK;
        this.ranks = ranks;
        this.slotsPerRank = slotsPerRank;
        this.rowBytes = Math.max(options.format().bytes(hidden) + 8 * topK, 4 * hidden);
        this.fanOut = Math.min(topK, ranks);
        this.normal = new Buffers(
                workspace.reserve("dispatch.send", DType.U8, rowBytes * fanOut),
                workspace.reserve("dispatch.receive", DType.U8, rowBytes),
                workspace.activations("dispatch.x", hidden),
                workspace.reserve("dispatch.ids", DType.I32, topK),
                workspace.floats("dispatch.weights", topK),
                workspace.activations("dispatch.results", hidden));
        int rows = mode == AllToAll.NORMAL ? 1 : ranks * options.maxTokensPerRank();
        this.fixed = new Buffers(
                workspace.fixed("dispatch.fixed.send", DType.U8, rowBytes, rows),
                workspace.fixed("dispatch.fixed.receive", DType.U8, rowBytes, rows),
                workspace.fixed("dispatch.fixed.x", DType.F32, hidden, rows),
                workspace.fixed("dispatch.fixed.ids", DType.I32, topK, rows),
                workspace.fixed("dispatch.fixed.weights", DType.F32, topK, rows),
                workspace.fixed("dispatch.fixed.results", DType.F32, hidden, rows));
    }

    @Override
    public Flight dispatchA(ForwardContext context, Tensor x, Tensor ids, Tensor weights) {
        return new Rows(context, x, ids, weights);
    }

    /** One layer's rows. */
    private final class Rows implements Flight {
        private final ForwardContext context;
        private final Communicator group;
        private final boolean lowLatency;
        private final Buffers buffers;
        private final int tokens;
        /** [S] token of each row that leaves. */
        private final int[] tokenOf;
        /** [S] where each row lies in the send buffer. */
        private final int[] placeOf;

        private final int[] sendRows = new int[ranks];
        private final int[] receiveRows = new int[ranks];
        private final Tensor send;
        private CommunicationQueue.Pending pending;
        private int sent;
        private int received;
        private Stage stage = Stage.DISPATCHING;

        private enum Stage {
            DISPATCHING,
            COMPUTING,
            COMBINING,
            DONE
        }

        Rows(ForwardContext context, Tensor x, Tensor ids, Tensor weights) {
            this.context = context;
            this.group = context.communicators().dispatch().communicator();
            this.lowLatency = mode == AllToAll.LOW_LATENCY
                    || mode == AllToAll.AUTO && !context.shape().prefills();
            this.buffers = lowLatency ? fixed : normal;
            this.tokens = x.rows();
            int most = lowLatency ? ranks * options.maxTokensPerRank() : tokens * fanOut;
            this.tokenOf = new int[most];
            this.placeOf = new int[most];
            Workspace workspace = context.workspace();
            this.send = lowLatency
                    ? workspace.fixedRows(fixed.send())
                    : workspace.rows(normal.send(), tokens).reshape((long) tokens * fanOut, rowBytes);
            pack(x, ids, weights);
            this.pending = context.queue().launch(this::exchange);
        }

        private void pack(Tensor x, Tensor ids, Tensor weights) {
            int rows = 0;
            int place = 0;
            for (int rank = 0; rank < ranks; rank++) {
                int first = lowLatency ? rank * options.maxTokensPerRank() : place;
                place = first;
                for (int t = 0; t < tokens; t++) {
                    if (!goesTo(ids, t, rank)) {
                        continue;
                    }
                    if (lowLatency && place - first == options.maxTokensPerRank()) {
                        throw new EngineException(
                                EngineException.Code.INTERNAL,
                                "a step sends more than " + options.maxTokensPerRank() + " tokens to rank " + rank);
                    }
                    write(x, ids, weights, t, rank, place);
                    tokenOf[rows] = t;
                    placeOf[rows] = place;
                    rows++;
                    place++;
                }
                sendRows[rank] = place - first;
                if (lowLatency) {
                    sendRows[rank] = options.maxTokensPerRank();
                    for (int empty = place; empty < first + options.maxTokensPerRank(); empty++) {
                        clearIds(empty);
                    }
                }
            }
            sent = rows;
        }

        private boolean goesTo(Tensor ids, int token, int rank) {
            for (int k = 0; k < topK; k++) {
                int id = id(ids, token, k);
                if (id >= 0 && id / slotsPerRank == rank) {
                    return true;
                }
            }
            return false;
        }

        private static int id(Tensor ids, int row, int k) {
            return ids.memory().get(ValueLayout.JAVA_INT_UNALIGNED, 4L * (row * ids.rowStride() + k));
        }

        private void write(Tensor x, Tensor ids, Tensor weights, int token, int rank, int place) {
            MemorySegment target = send.memory();
            long at = (long) place * rowBytes;
            options.format().encode(x.memory(), 4L * token * x.rowStride(), hidden, target, at);
            long tail = at + options.format().bytes(hidden);
            for (int k = 0; k < topK; k++) {
                int id = id(ids, token, k);
                target.set(
                        ValueLayout.JAVA_INT_UNALIGNED, tail + 4L * k, id >= 0 && id / slotsPerRank == rank ? id : -1);
                float weight =
                        weights.memory().get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * (token * weights.rowStride() + k));
                target.set(ValueLayout.JAVA_FLOAT_UNALIGNED, tail + 4L * (topK + k), weight);
            }
        }

        private void clearIds(int place) {
            long tail = (long) place * rowBytes + options.format().bytes(hidden);
            send.memory().asSlice(tail, 4L * topK).fill((byte) -1);
        }

        private void exchange() {
            if (lowLatency) {
                Arrays.fill(receiveRows, options.maxTokensPerRank());
            } else {
                group.exchangeCounts(sendRows, receiveRows);
            }
            received = Arrays.stream(receiveRows).sum();
            group.allToAll(send, sendRows, rows(buffers.receive()), receiveRows);
        }

        private Tensor rows(BufferSpec spec) {
            return lowLatency
                    ? context.workspace().fixedRows(spec)
                    : context.workspace().rows(spec, received);
        }

        @Override
        public Received dispatchB() {
            enter(Stage.DISPATCHING, Stage.COMPUTING);
            pending.await();
            MemorySegment from = rows(buffers.receive()).memory();
            Received all = new Received(
                    rows(buffers.x()), rows(buffers.ids()), rows(buffers.weights()), rows(buffers.results()));
            for (int r = 0; r < received; r++) {
                long at = (long) r * rowBytes;
                options.format().decode(from, at, hidden, all.x().memory(), 4L * r * hidden);
                long tail = at + options.format().bytes(hidden);
                MemorySegment.copy(from, tail, all.ids().memory(), 4L * r * topK, 4L * topK);
                MemorySegment.copy(from, tail + 4L * topK, all.weights().memory(), 4L * r * topK, 4L * topK);
            }
            return all;
        }

        @Override
        public void combineA(Tensor results) {
            enter(Stage.COMPUTING, Stage.COMBINING);
            WireFormat format = options.format().ofResults();
            MemorySegment to = rows(buffers.receive()).memory();
            for (int r = 0; r < received; r++) {
                format.encode(results.memory(), 4L * r * hidden, hidden, to, (long) r * rowBytes);
            }
            pending =
                    context.queue().launch(() -> group.allToAll(rows(buffers.receive()), receiveRows, send, sendRows));
        }

        @Override
        public void combineB(Tensor out) {
            enter(Stage.COMBINING, Stage.DONE);
            pending.await();
            context.workspace().zero(out);
            WireFormat format = options.format().ofResults();
            float[] row = new float[hidden];
            MemorySegment decoded = MemorySegment.ofArray(row);
            for (int s = 0; s < sent; s++) {
                format.decode(send.memory(), (long) placeOf[s] * rowBytes, hidden, decoded, 0);
                long target = 4L * tokenOf[s] * out.rowStride();
                for (int i = 0; i < hidden; i++) {
                    float sum = out.memory().get(ValueLayout.JAVA_FLOAT_UNALIGNED, target + 4L * i) + row[i];
                    out.memory().set(ValueLayout.JAVA_FLOAT_UNALIGNED, target + 4L * i, sum);
                }
            }
        }

        private void enter(Stage expected, Stage next) {
            if (stage != expected) {
                throw new IllegalStateException("a dispatch is " + stage + ", not " + expected);
            }
            stage = next;
        }
    }
}
