package dev.baton.trace.write;

import dev.baton.trace.TraceException;
import dev.baton.trace.record.Span;
import dev.baton.trace.record.SpanRing;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.Map;
import java.util.UUID;
import java.util.zip.GZIPOutputStream;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;

/**
 * Writes one rank's spans as the Chrome trace object that PyTorch's Kineto writes (dialect, section 2.9), gzipped:
 * times are microseconds after {@code baseTimeNanoseconds} with nanosecond digits. It opens in Perfetto, and what reads
 * SGLang's traces reads it.
 */
public final class KinetoWriter {
    private final JsonFactory json = new JsonFactory();

    /**
     * Writes the file in one move: a reader sees it whole or not at all.
     *
     * @throws TraceException IO naming the file
     */
    public void write(Path file, TraceHeader header, SpanRing.Drained drained) {
        Path partial = file.resolveSibling(file.getFileName() + ".partial");
        try {
            Files.createDirectories(file.toAbsolutePath().getParent());
            try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(partial), 1 << 16);
                    JsonGenerator g = json.createGenerator(ObjectWriteContext.empty(), out)) {
                document(g, file, header, drained);
            }
            moveInto(partial, file);
        } catch (IOException e) {
            throw new TraceException(
                    TraceException.Code.IO, "cannot write the trace " + file + ": " + e.getMessage(), e);
        }
    }

    static void moveInto(Path partial, Path file) throws IOException {
        try {
            Files.move(partial, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (AtomicMoveNotSupportedException e) {
            Files.move(partial, file, StandardCopyOption.REPLACE_EXISTING);
        }
    }

    private static void document(JsonGenerator g, Path file, TraceHeader header, SpanRing.Drained drained) {
        g.writeStartObject();
        g.writeNumberProperty("schemaVersion", 1);
        g.writeArrayPropertyStart("deviceProperties");
        g.writeEndArray();
        distributedInfo(g, header);
        if (header.recordShapes()) {
            g.writeNumberProperty("record_shapes", 1);
        }
        g.writeStringProperty(
                "trace_id", UUID.randomUUID().toString().replace("-", "").toUpperCase(java.util.Locale.ROOT));
        g.writeStringProperty("host_name", header.hostName());
        g.writeStringProperty("displayTimeUnit", "ms");
        g.writeNumberProperty("baseTimeNanoseconds", baseNanos(header));
        if (drained.dropped() > 0) {
            g.writeNumberProperty("baton_dropped_spans", drained.dropped());
        }
        if (!header.rehearsal().isEmpty()) {
            g.writeStringProperty("baton_rehearsal", header.rehearsal());
        }
        g.writeArrayPropertyStart("traceEvents");
        metadata(g, header, "process_name", 0, "name", header.processName());
        metadata(g, header, "process_labels", 0, "labels", labels(header));
        for (Map.Entry<Long, String> thread : header.threadNames().entrySet()) {
            metadata(
                    g,
                    header,
                    "thread_name",
                    thread.getKey(),
                    "name",
                    "thread " + thread.getKey() + " (" + thread.getValue() + ")");
        }
        devices(g, drained);
        int index = 0;
        for (Span span : drained.spans()) {
            event(g, header, span, ++index);
            arrow(g, header, span);
        }
        window(g, header, drained);
        g.writeEndArray();
        g.writeStringProperty("traceName", file.toString());
        g.writeEndObject();
    }

    /** A base that all ranks of a host share: the whole second before the anchor, so that times stay small. */
    private static long baseNanos(TraceHeader header) {
        return header.epochNanos() / 1_000_000_000L * 1_000_000_000L - 3600L * 1_000_000_000L;
    }

    private static long epochNanos(TraceHeader header, long nanoTime) {
        return header.epochNanos() + (nanoTime - header.anchorNanos());
    }

    private static String labels(TraceHeader header) {
        return header.rehearsal().isEmpty() ? "CPU" : "CPU, REHEARSAL: " + header.rehearsal();
    }

    private static void distributedInfo(JsonGenerator g, TraceHeader header) {
        int size = header.rank().worldSize();
        g.writeObjectPropertyStart("distributedInfo");
        g.writeStringProperty("backend", "baton");
        g.writeNumberProperty("rank", header.rank().worldRank());
        g.writeNumberProperty("world_size", size);
        g.writeNumberProperty("pg_count", 1);
        g.writeArrayPropertyStart("pg_config");
        g.writeStartObject();
        g.writeStringProperty("pg_name", "0");
        g.writeStringProperty("pg_desc", "default_pg");
        g.writeStringProperty("backend_config", "baton");
        g.writeNumberProperty("pg_size", size);
        g.writeArrayPropertyStart("ranks");
        for (int rank = 0; rank < size; rank++) {
            g.writeNumber(rank);
        }
        g.writeEndArray();
        g.writeEndObject();
        g.writeEndArray();
        g.writeEndObject();
    }

    private static void metadata(
            JsonGenerator g, TraceHeader header, String name, long thread, String key, String value) {
        metadata(g, name, header.processId(), thread, key, value);
    }

    private static void metadata(JsonGenerator g, String name, long process, long thread, String key, String value) {
        g.writeStartObject();
        g.writeStringProperty("ph", "M");
        g.writeStringProperty("name", name);
        g.writeNumberProperty("pid", process);
        g.writeNumberProperty("tid", thread);
        microseconds(g, "ts", 0);
        g.writeObjectPropertyStart("args");
        g.writeStringProperty(key, value);
        g.writeEndObject();
        g.writeEndObject();
    }

    /** The processes that GPUs are shown as. */
    private static void devices(JsonGenerator g, SpanRing.Drained drained) {
        int[] ids = drained.spans().stream()
                .map(Span::detail)
                .filter(Span.DeviceWork.class::isInstance)
                .mapToInt(detail -> ((Span.DeviceWork) detail).device())
                .distinct()
                .sorted()
                .toArray();
        for (int id : ids) {
            metadata(g, "process_name", id, 0, "name", "baton::gpu");
            metadata(g, "process_labels", id, 0, "labels", "GPU " + id);
        }
    }

    /** One end of the arrow from a call to the work that it queued. */
    private static void arrow(JsonGenerator g, TraceHeader header, Span span) {
        if (span.detail() instanceof Span.DeviceCall call) {
            arrow(g, header, span, "s", call.correlation(), header.processId(), span.threadId());
        } else if (span.detail() instanceof Span.DeviceWork work) {
            arrow(g, header, span, "f", work.correlation(), work.device(), work.stream());
        }
    }

    private static void arrow(
            JsonGenerator g, TraceHeader header, Span span, String end, int correlation, long process, long row) {
        g.writeStartObject();
        g.writeStringProperty("ph", end);
        g.writeNumberProperty("id", correlation);
        g.writeNumberProperty("pid", process);
        g.writeNumberProperty("tid", row);
        microseconds(g, "ts", epochNanos(header, span.startNanos()) - baseNanos(header));
        g.writeStringProperty("cat", "ac2g");
        g.writeStringProperty("name", "ac2g");
        if (end.equals("f")) {
            g.writeStringProperty("bp", "e");
        }
        g.writeEndObject();
    }

    private static void event(JsonGenerator g, TraceHeader header, Span span, int index) {
        g.writeStartObject();
        g.writeStringProperty("ph", "X");
        g.writeStringProperty("cat", span.kind().category());
        g.writeStringProperty("name", span.name());
        Span.DeviceWork work = span.detail() instanceof Span.DeviceWork own ? own : null;
        g.writeNumberProperty("pid", work == null ? header.processId() : work.device());
        g.writeNumberProperty("tid", work == null ? span.threadId() : work.stream());
        microseconds(g, "ts", epochNanos(header, span.startNanos()) - baseNanos(header));
        microseconds(g, "dur", Math.max(0, span.endNanos() - span.startNanos()));
        g.writeObjectPropertyStart("args");
        g.writeNumberProperty("External id", index);
        g.writeNumberProperty("Ev Idx", index - 1);
        detail(g, span.detail());
        g.writeEndObject();
        g.writeEndObject();
    }

    private static void detail(JsonGenerator g, Span.@org.jspecify.annotations.Nullable Detail detail) {
        switch (detail) {
            case null -> {}
            case Span.Operands operands -> {
                g.writeArrayPropertyStart("Input Dims");
                for (long[] shape : operands.shapes()) {
                    g.writeArray(shape, 0, shape.length);
                }
                g.writeEndArray();
                g.writeArrayPropertyStart("Input type");
                for (String type : operands.types()) {
                    g.writeString(type);
                }
                g.writeEndArray();
            }
            case Span.Collective c -> {
                g.writeStringProperty("Collective name", c.collective());
                g.writeNumberProperty("In msg nelems", c.inElements());
                g.writeNumberProperty("Out msg nelems", c.outElements());
                g.writeNumberProperty("Group size", c.groupRanks().length);
                g.writeStringProperty("dtype", c.elementType());
                g.writeStringProperty("Process Group Name", c.groupName());
                g.writeStringProperty("Process Group Ranks", Arrays.toString(c.groupRanks()));
            }
            case Span.Step step -> {
                g.writeNumberProperty("forward_step", step.forwardStep());
                g.writeNumberProperty("bs", step.sequences());
                g.writeNumberProperty("toks", step.tokens());
            }
            case Span.DeviceCall call -> g.writeNumberProperty("correlation", call.correlation());
            case Span.DeviceWork work -> deviceWork(g, work);
        }
    }

    private static void deviceWork(JsonGenerator g, Span.DeviceWork work) {
        g.writeNumberProperty("device", work.device());
        g.writeNumberProperty("stream", work.stream());
        g.writeNumberProperty("correlation", work.correlation());
        if (work.grid().length == 0) {
            g.writeNumberProperty("bytes", work.bytes());
            return;
        }
        g.writeNumberProperty("registers per thread", work.registers());
        g.writeNumberProperty("shared memory", work.sharedBytes());
        g.writeName("grid");
        g.writeArray(work.grid(), 0, work.grid().length);
        g.writeName("block");
        g.writeArray(work.block(), 0, work.block().length);
    }

    /** The recording window itself, as PyTorch's profiler marks it. */
    private static void window(JsonGenerator g, TraceHeader header, SpanRing.Drained drained) {
        if (drained.spans().isEmpty()) {
            return;
        }
        long start = drained.spans().stream().mapToLong(Span::startNanos).min().getAsLong();
        long end = drained.spans().stream().mapToLong(Span::endNanos).max().getAsLong();
        g.writeStartObject();
        g.writeStringProperty("ph", "X");
        g.writeStringProperty("cat", "Trace");
        g.writeStringProperty("name", "PyTorch Profiler (0)");
        g.writeStringProperty("pid", "Spans");
        g.writeStringProperty("tid", "PyTorch Profiler");
        microseconds(g, "ts", epochNanos(header, start) - baseNanos(header));
        microseconds(g, "dur", end - start);
        g.writeObjectPropertyStart("args");
        g.writeNumberProperty("Op count", drained.spans().size());
        g.writeEndObject();
        g.writeEndObject();
    }

    private static void microseconds(JsonGenerator g, String name, long nanos) {
        g.writeName(name);
        long fraction = nanos % 1000;
        g.writeRawValue(nanos / 1000 + (fraction < 10 ? ".00" : fraction < 100 ? ".0" : ".") + fraction);
    }
}
