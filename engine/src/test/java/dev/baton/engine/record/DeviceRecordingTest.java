package dev.baton.engine.record;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import dev.baton.tensor.DeviceActivity;
import dev.baton.tensor.DeviceSpan;
import dev.baton.tensor.TensorException;
import dev.baton.trace.record.Span;
import dev.baton.trace.record.SpanRing;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class DeviceRecordingTest {
    /** Tells one kernel a recording, at the time that was set. */
    private static class Scripted implements DeviceActivity {
        final List<String> calls = new ArrayList<>();
        List<DeviceSpan> next = List.of();

        @Override
        public void start() {
            calls.add("start");
        }

        @Override
        public List<DeviceSpan> stop() {
            calls.add("stop");
            return next;
        }

        @Override
        public void outsideProfiler(boolean on) {
            calls.add("outside " + on);
        }
    }

    private static DeviceSpan kernel(String name, long startNanos) {
        return span(DeviceSpan.Kind.KERNEL, name, startNanos, 1);
    }

    private static DeviceSpan span(DeviceSpan.Kind kind, String name, long startNanos, int correlation) {
        return new DeviceSpan(
                kind, name, startNanos, startNanos + 5, 0, 7, correlation, new int[3], new int[3], 0, 0, 0);
    }

    @Test
    void workOfAnotherWindowWaitsUntilThatOneEnds() {
        Scripted device = new Scripted();
        DeviceRecording recording = new DeviceRecording(device, List.of("CPU", "GPU"));
        recording.start();
        recording.start();
        device.next = List.of(kernel("prefill", 10), kernel("decode", 30), kernel("between", 50));
        SpanRing first = new SpanRing(10);
        recording.finish(first, nanos -> nanos < 20);
        assertThat(first.drain().spans()).extracting(Span::name).containsExactly("prefill");

        device.next = List.of();
        SpanRing second = new SpanRing(10);
        recording.finish(second, nanos -> nanos > 20 && nanos < 40);
        assertThat(second.drain().spans()).singleElement().satisfies(span -> {
            assertThat(span.kind()).isEqualTo(Span.Kind.KERNEL);
            assertThat(span.name()).isEqualTo("decode");
            assertThat(((Span.DeviceWork) java.util.Objects.requireNonNull(span.detail())).stream())
                    .isEqualTo(7);
        });
        assertThat(device.calls).containsExactly("start", "stop");
    }

    @Test
    void whatAStepQueuedIsItsOwnWhenItRunsLater() {
        Scripted device = new Scripted();
        DeviceRecording recording = new DeviceRecording(device, List.of("GPU"));
        recording.start();
        DeviceSpan before = span(DeviceSpan.Kind.CALL, "cuLaunchKernelEx", 5, 1);
        DeviceSpan launch = span(DeviceSpan.Kind.GRAPH_LAUNCH, "cudaGraphLaunch", 12, 2);
        DeviceSpan queuedBefore = span(DeviceSpan.Kind.KERNEL, "queued before", 15, 1);
        DeviceSpan first = span(DeviceSpan.Kind.KERNEL, "first of the graph", 18, 2);
        DeviceSpan last = span(DeviceSpan.Kind.KERNEL, "last of the graph", 28, 2);
        device.next = List.of(before, launch, queuedBefore, first, last);
        SpanRing ring = new SpanRing(10);
        recording.finish(ring, nanos -> nanos >= 10 && nanos <= 20);
        assertThat(ring.drain().spans())
                .extracting(Span::name, Span::kind)
                .containsExactly(
                        tuple("cudaGraphLaunch", Span.Kind.GRAPH_LAUNCH),
                        tuple("first of the graph", Span.Kind.KERNEL),
                        tuple("last of the graph", Span.Kind.KERNEL));
    }

    @Test
    void anOutsideProfilerSeesTheRecordedStepsOnly() {
        Scripted device = new Scripted();
        DeviceRecording recording = new DeviceRecording(device, List.of("CUDA_PROFILER"));
        recording.start();
        recording.finish(new SpanRing(10), nanos -> true);
        assertThat(device.calls).containsExactly("outside true", "outside false");
    }

    @Test
    void aDeviceThatCannotTellLeavesTheProfileWithoutIt() {
        Scripted device = new Scripted() {
            @Override
            public void start() {
                calls.add("start");
                throw new TensorException(TensorException.Code.UNAVAILABLE, "no CUPTI");
            }
        };
        DeviceRecording recording = new DeviceRecording(device, List.of("GPU"));
        recording.start();
        recording.start();
        SpanRing ring = new SpanRing(10);
        recording.finish(ring, nanos -> true);
        assertThat(ring.drain().spans()).isEmpty();
        assertThat(device.calls).containsExactly("start");
        assertThat(new DeviceRecording(null, List.of("GPU"))).isNotNull();
    }
}
