package dev.baton.engine.schedule;

import dev.baton.engine.grammar.Matcher;
import dev.baton.engine.request.EngineRequest;
import dev.baton.protocol.SamplingParams;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Writes the arrays of a step from requests whose slots are allocated. Steps are numbered from 1 without gaps. */
final class PlanBuilder {
    private long steps;

    // What a decode plan shares with the one before it while the batch stays the same; never written once built.
    private Request[] lastBatch = new Request[0];
    private int[] lastEpochs = new int[0];
    private @Nullable StepPlan lastDecode;

    long steps() {
        return steps;
    }

    /**
     * @param requests whose positions {@code [from[i], filled)} are computed
     * @param from first new position of each
     */
    ScheduledStep extend(List<Request> requests, int[] from) {
        int n = requests.size();
        int tokens = 0;
        int[] tokenStart = new int[n + 1];
        for (int b = 0; b < n; b++) {
            tokens += requests.get(b).filled - from[b];
            tokenStart[b + 1] = tokens;
        }
        int[] rows = new int[n];
        int[] starts = Arrays.copyOf(from, n);
        int[] slots = new int[tokens];
        int[] ids = new int[tokens];
        int[] prompts = new int[n];
        int[] epochs = new int[n];
        boolean[] samples = new boolean[n];
        SamplingParams[] sampling = new SamplingParams[n];
        long[] seeds = new long[n];
        EngineRequest.@Nullable LogprobSpec[] logprobs = new EngineRequest.LogprobSpec[n];
        @Nullable Matcher[] matchers = new Matcher[n];
        List<StepPlan.Prefix> prefixes = new ArrayList<>(n);
        for (int b = 0; b < n; b++) {
            Request r = requests.get(b);
            int count = r.filled - from[b];
            rows[b] = r.row;
            System.arraycopy(r.slots, from[b], slots, tokenStart[b], count);
            System.arraycopy(r.ids, from[b], ids, tokenStart[b], count);
            samples[b] = r.filled == r.known && r.sampling.maxNewTokens() > 0;
            prompts[b] = r.promptTokens();
            epochs[b] = r.epoch;
            sampling[b] = r.sampling;
            seeds[b] = r.seed;
            logprobs[b] = r.logprobs();
            matchers[b] = r.matcher;
            if (r.writeRow) {
                prefixes.add(prefix(r, from[b]));
            }
        }
        StepPlan plan = new StepPlan(
                ++steps,
                ForwardMode.EXTEND,
                rows,
                tokenStart,
                starts,
                slots,
                ids,
                List.copyOf(prefixes),
                samples,
                sampling,
                seeds,
                logprobs,
                prompts,
                matchers);
        return new ScheduledStep(plan, requests.toArray(new Request[0]), epochs);
    }

    /** @param batch requests whose last position, {@code filled - 1}, is the new one */
    ScheduledStep decode(List<Request> batch) {
        int n = batch.size();
        int[] slots = new int[n];
        int[] starts = new int[n];
        int[] carried = null;
        List<StepPlan.Prefix> prefixes = List.of();
        boolean same = lastDecode != null && lastBatch.length == n;
        for (int b = 0; b < n; b++) {
            Request r = batch.get(b);
            int at = r.filled - 1;
            starts[b] = at;
            slots[b] = r.slots[at];
            same &= b < lastBatch.length && lastBatch[b] == r && lastEpochs[b] == r.epoch;
            if (r.carryId) {
                carried = carried == null ? unknown(n) : carried;
                carried[b] = r.ids[at];
                r.carryId = false;
            }
            if (r.writeRow) {
                prefixes = prefixes.isEmpty() ? new ArrayList<>() : prefixes;
                prefixes.add(prefix(r, at));
            }
        }
        StepPlan base = lastDecode;
        if (!same || base == null) {
            lastBatch = batch.toArray(new Request[0]);
            lastEpochs = new int[n];
            base = decodeBase(lastBatch, lastEpochs);
            lastDecode = base;
        }
        StepPlan plan = new StepPlan(
                ++steps,
                ForwardMode.DECODE,
                base.rows(),
                base.tokenStart(),
                starts,
                slots,
                carried == null ? base.inputIds() : carried,
                List.copyOf(prefixes),
                base.samples(),
                base.sampling(),
                base.seeds(),
                base.logprobs(),
                base.promptTokens(),
                base.matchers());
        return new ScheduledStep(plan, lastBatch, lastEpochs);
    }

    private static StepPlan decodeBase(Request[] batch, int[] epochs) {
        int n = batch.length;
        int[] rows = new int[n];
        int[] tokenStart = new int[n + 1];
        int[] prompts = new int[n];
        boolean[] samples = new boolean[n];
        SamplingParams[] sampling = new SamplingParams[n];
        long[] seeds = new long[n];
        EngineRequest.@Nullable LogprobSpec[] logprobs = new EngineRequest.LogprobSpec[n];
        @Nullable Matcher[] matchers = new Matcher[n];
        for (int b = 0; b < n; b++) {
            Request r = batch[b];
            rows[b] = r.row;
            tokenStart[b + 1] = b + 1;
            prompts[b] = r.promptTokens();
            epochs[b] = r.epoch;
            samples[b] = true;
            sampling[b] = r.sampling;
            seeds[b] = r.seed;
            logprobs[b] = r.logprobs();
            matchers[b] = r.matcher;
        }
        int[] none = new int[0];
        return new StepPlan(
                0,
                ForwardMode.DECODE,
                rows,
                tokenStart,
                none,
                none,
                unknown(n),
                List.of(),
                samples,
                sampling,
                seeds,
                logprobs,
                prompts,
                matchers);
    }

    private static int[] unknown(int n) {
        int[] ids = new int[n];
        Arrays.fill(ids, -1);
        return ids;
    }

    private static StepPlan.Prefix prefix(Request r, int tokens) {
        r.writeRow = false;
        return new StepPlan.Prefix(r.row, Arrays.copyOf(r.slots, tokens), Arrays.copyOf(r.ids, tokens));
    }
}
