package dev.baton.engine.record;

import dev.baton.tensor.DeviceActivity;
import dev.baton.tensor.DeviceSpan;
import dev.baton.tensor.TensorException;
import dev.baton.trace.record.Span;
import dev.baton.trace.record.SpanRing;
import java.lang.System.Logger;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongPredicate;
import org.jspecify.annotations.Nullable;

/**
 * What one rank's device did while steps were recorded. A device that cannot say leaves the profile without it: the reason
 * is logged. Rank's thread only.
 */
final class DeviceRecording {
    private static final Logger LOG = System.getLogger(DeviceRecording.class.getName());

    private final @Nullable DeviceActivity activity;
    private final boolean records;
    private final boolean outside;
    private final long threadId = Thread.currentThread().threadId();
    /** Recorded, but of a window that is still open. */
    private final List<DeviceSpan> pending = new ArrayList<>();

    private boolean running;
    private boolean failed;

    /**
     * @param activity the device's; null where it has none
     * @param activities of the profile's request
     */
    DeviceRecording(@Nullable DeviceActivity activity, List<String> activities) {
        this.activity = activity;
        this.records = activities.contains("GPU");
        this.outside = activities.contains("CUDA_PROFILER");
    }

    /** Whether this, or the tool outside, shows what steps consist of when they are replayed as graphs. */
    boolean showsSteps() {
        return activity != null && (records || outside);
    }

    /** A recorded step begins. */
    void start() {
        if (activity == null || running || failed || !(records || outside)) {
            return;
        }
        try {
            if (records) {
                activity.start();
            }
            if (outside) {
                activity.outsideProfiler(true);
            }
            running = true;
        } catch (TensorException e) {
            failed = true;
            LOG.log(Logger.Level.WARNING, "the profile shows no work of the GPU: " + e.getMessage());
        }
    }

    /**
     * Ends the recording once the device has done what was queued; moves what belongs to a window into its memory: the
     * calls that were made in its steps and what they queued, which may have run later.
     *
     * @param inWindow whether a time of the host lies in one of the window's steps
     */
    void finish(SpanRing ring, LongPredicate inWindow) {
        if (activity != null && running) {
            running = false;
            if (outside) {
                activity.outsideProfiler(false);
            }
            if (records) {
                pending.addAll(activity.stop());
            }
        }
        Map<Integer, Boolean> calls = new HashMap<>();
        for (DeviceSpan span : pending) {
            if (span.kind().isCall()) {
                calls.put(span.correlation(), inWindow.test(span.startNanos()));
            }
        }
        pending.removeIf(span -> {
            Boolean queued = calls.get(span.correlation());
            boolean own = queued == null ? inWindow.test(span.startNanos()) : queued;
            if (own) {
                ring.add(span(span));
            }
            return own;
        });
    }

    private Span span(DeviceSpan s) {
        Span.Kind kind = switch (s.kind()) {
            case CALL -> Span.Kind.CALL;
            case GRAPH_LAUNCH -> Span.Kind.GRAPH_LAUNCH;
            case KERNEL -> Span.Kind.KERNEL;
            case COPY -> Span.Kind.COPY;
            case FILL -> Span.Kind.FILL;
        };
        Span.Detail detail = s.kind().isCall()
                ? new Span.DeviceCall(s.correlation())
                : new Span.DeviceWork(
                        s.device(),
                        s.stream(),
                        s.correlation(),
                        s.grid(),
                        s.block(),
                        s.registers(),
                        s.sharedBytes(),
                        s.bytes());
        return new Span(kind, s.name(), threadId, s.startNanos(), s.endNanos(), detail);
    }
}
