package dev.baton.trace.report;

import dev.baton.trace.TraceException;
import dev.baton.trace.align.Clock;
import dev.baton.trace.align.Collective;
import dev.baton.trace.align.RankSet;
import dev.baton.trace.align.Straggler;
import dev.baton.trace.analyse.ClassTotal;
import dev.baton.trace.analyse.KernelTotal;
import dev.baton.trace.analyse.LayerRow;
import dev.baton.trace.analyse.RankAnalysis;
import dev.baton.trace.analyse.StepMetrics;
import dev.baton.trace.classify.KernelClass;
import dev.baton.trace.read.Events;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;

/** The analysis for programs. Times are milliseconds unless the key says microseconds. */
public final class AnalysisJson {
    private AnalysisJson() {}

    /**
     * Writes the file.
     *
     * @throws TraceException IO naming the file
     */
    public static void write(RankSet set, List<String> notes, Path file) {
        try (OutputStream out = Files.newOutputStream(file);
                JsonGenerator g = new JsonFactory().createGenerator(ObjectWriteContext.empty(), out)) {
            g.writeStartObject();
            strings(g, "verdict", Verdict.of(set));
            g.writeArrayPropertyStart("ranks");
            set.ranks().forEach(r -> rank(g, r));
            g.writeEndArray();
            g.writeArrayPropertyStart("collectives");
            set.collectives().forEach(c -> collective(g, set, c));
            g.writeEndArray();
            g.writeArrayPropertyStart("stragglers");
            set.stragglers().forEach(s -> straggler(g, set, s));
            g.writeEndArray();
            clocks(g, set);
            strings(g, "notes", notes);
            g.writeEndObject();
        } catch (IOException e) {
            throw new TraceException(TraceException.Code.IO, "cannot write " + file + ": " + e.getMessage(), e);
        }
    }

    private static void strings(JsonGenerator g, String key, List<String> values) {
        g.writeArrayPropertyStart(key);
        values.forEach(g::writeString);
        g.writeEndArray();
    }

    private static void rank(JsonGenerator g, RankAnalysis r) {
        g.writeStartObject();
        g.writeStringProperty("file", r.work().trace().file().toString());
        g.writeNumberProperty("rank", r.rank());
        g.writeNumberProperty("device", r.work().device());
        g.writeStringProperty("steps_by", r.stepKind().title());
        g.writeArrayPropertyStart("steps");
        r.steps().forEach(s -> step(g, r.work().trace().events(), s));
        g.writeEndArray();
        g.writeArrayPropertyStart("classes");
        r.classes().forEach(c -> total(g, c));
        g.writeEndArray();
        g.writeArrayPropertyStart("kernels");
        r.kernels().forEach(k -> kernel(g, k));
        g.writeEndArray();
        g.writeArrayPropertyStart("layers");
        r.layers().forEach(l -> layer(g, l));
        g.writeEndArray();
        strings(g, "notes", r.notes());
        g.writeEndObject();
    }

    private static void step(JsonGenerator g, Events e, StepMetrics s) {
        g.writeStartObject();
        g.writeStringProperty("kind", s.step().kind().title());
        g.writeStringProperty("name", s.step().name());
        ms(g, "ms", s.step().durationNanos());
        g.writeNumberProperty("kernels", s.kernels());
        ms(g, "compute_ms", s.computeNanos());
        ms(g, "comm_ms", s.commNanos());
        ms(g, "overlap_ms", s.overlapNanos());
        ms(g, "exposed_ms", s.exposedNanos());
        ms(g, "idle_ms", s.idleNanos());
        ms(g, "dispatch_ms", s.dispatchNanos());
        ms(g, "combine_ms", s.combineNanos());
        ms(g, "all_reduce_ms", s.allReduceNanos());
        ms(g, "send_recv_ms", s.sendRecvNanos());
        if (s.step().hostNanos() >= 0) {
            ms(g, "host_ms", s.step().hostNanos());
        }
        int[] events = s.step().events();
        g.writeNumberProperty("first_event", e.ordinal(events[0]));
        g.writeNumberProperty("last_event", e.ordinal(events[events.length - 1]));
        g.writeEndObject();
    }

    private static void total(JsonGenerator g, ClassTotal c) {
        g.writeStartObject();
        g.writeStringProperty("class", c.kernelClass().title());
        g.writeNumberProperty("kernels", c.kernels());
        ms(g, "sum_ms", c.sumNanos());
        strings(g, "rules", c.rules());
        g.writeEndObject();
    }

    private static void kernel(JsonGenerator g, KernelTotal k) {
        g.writeStartObject();
        g.writeStringProperty("name", k.name());
        g.writeStringProperty("class", k.kernelClass().title());
        g.writeStringProperty("rule", k.rule());
        g.writeNumberProperty("count", k.count());
        ms(g, "sum_ms", k.sumNanos());
        us(g, "min_us", k.minNanos());
        us(g, "median_us", k.medianNanos());
        us(g, "max_us", k.maxNanos());
        g.writeNumberProperty("longest_event", k.longestEvent());
        g.writeEndObject();
    }

    private static void layer(JsonGenerator g, LayerRow l) {
        g.writeStartObject();
        g.writeNumberProperty("layer", l.layer());
        us(g, "span_us", l.spanNanos());
        for (KernelClass c : KernelClass.values()) {
            if (l.nanos(c) > 0) {
                us(g, c.title().replace(' ', '_') + "_us", l.nanos(c));
            }
        }
        g.writeEndObject();
    }

    private static void collective(JsonGenerator g, RankSet set, Collective c) {
        g.writeStartObject();
        g.writeStringProperty("name", c.name());
        g.writeStringProperty("kind", c.kind().title());
        g.writeNumberProperty("index", c.index());
        g.writeNumberProperty("step", c.step());
        g.writeNumberProperty("layer", c.layer());
        us(g, "start_spread_us", c.startSpreadNanos());
        us(g, "end_spread_us", c.endSpreadNanos());
        g.writeNumberProperty("last_rank", set.ranks().get(c.last().rankIndex()).rank());
        g.writeArrayPropertyStart("calls");
        for (Collective.Call call : c.calls()) {
            RankAnalysis rank = set.ranks().get(call.rankIndex());
            g.writeStartObject();
            g.writeNumberProperty("rank", rank.rank());
            us(g, "wait_us", c.waitNanos(call));
            us(g, "transfer_us", c.transferNanos(call));
            g.writeNumberProperty("event", rank.work().trace().events().ordinal(call.event()));
            g.writeEndObject();
        }
        g.writeEndArray();
        g.writeEndObject();
    }

    private static void straggler(JsonGenerator g, RankSet set, Straggler s) {
        g.writeStartObject();
        g.writeNumberProperty("rank", set.ranks().get(s.rankIndex()).rank());
        g.writeNumberProperty("times_last", s.timesLast());
        ms(g, "wait_caused_ms", s.waitCausedNanos());
        ms(g, "waited_ms", s.waitedNanos());
        ms(g, "transfer_ms", s.transferNanos());
        g.writeNumberProperty("worst_layer", s.worstLayer());
        g.writeNumberProperty("worst_step", s.worstStep());
        g.writeStringProperty("cause", s.cause());
        ms(g, "cause_ms", s.causeNanos());
        g.writeEndObject();
    }

    private static void clocks(JsonGenerator g, RankSet set) {
        g.writeArrayPropertyStart("clocks");
        for (int r = 0; r < set.clocks().size(); r++) {
            Clock c = set.clocks().get(r);
            g.writeStartObject();
            g.writeNumberProperty("rank", set.ranks().get(r).rank());
            g.writeNumberProperty("matched", c.matched());
            us(g, "offset_us", c.offsetNanos());
            us(g, "residual_us", c.residualNanos());
            us(g, "residual_p95_us", c.residual95Nanos());
            g.writeBooleanProperty("corrected", c.isCorrected());
            g.writeEndObject();
        }
        g.writeEndArray();
    }

    private static void ms(JsonGenerator g, String key, long nanos) {
        g.writeNumberProperty(key, nanos / 1e6);
    }

    private static void us(JsonGenerator g, String key, long nanos) {
        g.writeNumberProperty(key, nanos / 1e3);
    }
}
