package dev.baton.engine.record;

import dev.baton.model.DType;
import dev.baton.tensor.Tensor;
import dev.baton.trace.record.Span;
import dev.baton.trace.record.SpanRing;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * Where one rank's wrapped operators and collectives put their spans; nowhere while no window is open. Operators
 * come from the rank's thread, collectives also from the one that runs them beside it.
 */
final class SpanSink {
    private final boolean recordShapes;
    private volatile @Nullable SpanRing ring;
    /** Threads beside the rank's own that ran collectives. */
    private final Map<Long, String> helpers = new ConcurrentHashMap<>();

    private final Thread own = Thread.currentThread();

    SpanSink(boolean recordShapes) {
        this.recordShapes = recordShapes;
    }

    /** Spans go here from now on; null: nowhere. */
    void openOn(@Nullable SpanRing target) {
        this.ring = target;
    }

    void operator(String name, long startNanos, Tensor... operands) {
        SpanRing target = ring;
        if (target == null) {
            return;
        }
        long end = System.nanoTime();
        Span.Operands detail = null;
        if (recordShapes) {
            long[][] shapes = new long[operands.length][];
            String[] types = new String[operands.length];
            for (int i = 0; i < operands.length; i++) {
                shapes[i] = operands[i].shape();
                types[i] = elementType(operands[i].dtype());
            }
            detail = new Span.Operands(shapes, types);
        }
        target.add(Span.Kind.OPERATOR, name, startNanos, end, detail);
    }

    /** @param groupRanks world ranks of the group */
    void collective(String name, String collective, long startNanos, Tensor in, Tensor out, int[] groupRanks) {
        SpanRing target = ring;
        if (target == null) {
            return;
        }
        long end = System.nanoTime();
        Thread thread = Thread.currentThread();
        if (thread != own) {
            helpers.putIfAbsent(thread.threadId(), thread.getName());
        }
        target.add(
                Span.Kind.COLLECTIVE,
                name,
                startNanos,
                end,
                new Span.Collective(
                        collective, in.elements(), out.elements(), elementType(in.dtype()), "0", groupRanks));
    }

    /** Names of the threads that ran collectives beside the rank's own. */
    Map<Long, String> helpers() {
        return helpers;
    }

    void annotation(String name, long startNanos, Span.@Nullable Detail detail) {
        annotation(name, startNanos, System.nanoTime(), detail);
    }

    void annotation(String name, long startNanos, long endNanos, Span.@Nullable Detail detail) {
        SpanRing target = ring;
        if (target != null) {
            target.add(Span.Kind.ANNOTATION, name, startNanos, endNanos, detail);
        }
    }

    /**
     * A message between two ranks, in a row of its own.
     *
     * @param groupName the same at both ends and of no other message, so that a reader can bring the ends together
     * @param ranks world ranks of both, the same at both ends
     */
    void message(
            long threadId, String name, long startNanos, long endNanos, long bytes, String groupName, int[] ranks) {
        SpanRing target = ring;
        if (target != null) {
            Span.Collective detail = new Span.Collective(name, bytes, bytes, elementType(DType.U8), groupName, ranks);
            target.add(new Span(Span.Kind.COLLECTIVE, "baton::send_recv", threadId, startNanos, endNanos, detail));
        }
    }

    /** The word that PyTorch's traces use. */
    private static String elementType(DType type) {
        return switch (type) {
            case F32 -> "float";
            case F64 -> "double";
            case F16 -> "c10::Half";
            case BF16 -> "c10::BFloat16";
            case F8_E4M3 -> "c10::Float8_e4m3fn";
            case F8_E5M2 -> "c10::Float8_e5m2";
            case I64 -> "long int";
            case I32 -> "int";
            case I16 -> "short int";
            case I8 -> "signed char";
            case U8 -> "unsigned char";
            case BOOL -> "bool";
        };
    }
}
