package dev.baton.engine.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.RequestOutput;
import dev.baton.protocol.FinishReason;
import dev.baton.protocol.SamplingParams;
import dev.baton.protocol.log.RankLabel;
import dev.baton.protocol.log.RetractLine;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** The scheduler against a fake model over many seeds: whatever the settings, each request gets its own answer. */
class SchedulerSimulationTest {
    private static final int SEEDS = 2_500;

    @Test
    void everyRequestGetsItsOwnAnswerWhateverTheSettingsAndNothingLeaks() {
        int retractions = 0;
        int chunks = 0;
        int cached = 0;
        int aborted = 0;
        int pipelined = 0;
        for (int seed = 0; seed < SEEDS; seed++) {
            Simulation simulation = new Simulation(seed);
            try {
                simulation.run();
            } catch (AssertionError | RuntimeException e) {
                throw new AssertionError("seed " + seed + " with " + simulation.config, e);
            }
            retractions += simulation.retractions;
            chunks += simulation.chunks;
            cached += simulation.cachedTokens;
            aborted += simulation.aborted;
            pipelined += simulation.fullPipelines;
        }
        // The runs are worth something only if they met all of this.
        assertThat(retractions).as("retractions").isGreaterThan(300);
        assertThat(chunks).as("chunks").isGreaterThan(5_000);
        assertThat(cached).as("cached tokens").isGreaterThan(20_000);
        assertThat(aborted).as("aborted requests").isGreaterThan(1_000);
        assertThat(pipelined).as("moments with three or more steps in flight").isGreaterThan(20_000);
    }

    /** One random run: arrivals, aborts and flushes at random moments, results applied as late as allowed or earlier. */
    private static final class Simulation {
        final SplittableRandom random;
        final SchedulerConfig config;
        final FakeModel model;
        final FakeRanks ranks;
        final Scheduler scheduler;
        private final AtomicInteger queued = new AtomicInteger();
        final Set<Integer> endTokens;
        final int context;
        final boolean late;

        final Map<String, List<Integer>> answers = new HashMap<>();
        final Map<String, FinishReason> finishes = new HashMap<>();
        final List<Request> requests = new ArrayList<>();
        final List<int[]> prompts = new ArrayList<>();
        int ended;
        int retractions;
        int chunks;
        int cachedTokens;
        int aborted;
        int fullPipelines;

        /** The result is null while the ranks have not run the step. */
        private record Launched(ScheduledStep step, StepResult result) {}

        private final ArrayDeque<Launched> inFlight = new ArrayDeque<>();

        Simulation(int seed) {
            random = new SplittableRandom(seed);
            int page = new int[] {1, 4, 16}[random.nextInt(3)];
            late = random.nextBoolean();
            context = 40 + random.nextInt(120);
            int pool = context + 2 * page + (random.nextBoolean() ? 0 : random.nextInt(300));
            int chunk = random.nextInt(3) == 0 ? -1 : page * (1 + random.nextInt(48 / page));
            config = SchedulerConfig.DEFAULT.toBuilder()
                    .pageTokens(page)
                    .chunkedPrefillTokens(chunk)
                    .maxPrefillTokens(1 + random.nextInt(200))
                    .policy(random.nextBoolean() ? SchedulePolicy.FCFS : SchedulePolicy.LPM)
                    .conservativeness(random.nextInt(3) == 0 ? 1 : random.nextInt(2) * random.nextDouble() * 0.3)
                    .radixCache(random.nextInt(4) != 0)
                    .overlap(random.nextInt(4) != 0)
                    .decodeLogInterval(1 + random.nextInt(5))
                    .streamInterval(1 + random.nextInt(3))
                    .microBatches(random.nextInt(2) == 0 ? 1 : 2 + random.nextInt(4))
                    .maxMicroBatchRequests(random.nextInt(4) == 0 ? 1 + random.nextInt(3) : null)
                    .build();
            int rows = 1 + random.nextInt(12);
            model = new FakeModel(7 + random.nextInt(300));
            ranks = new FakeRanks(model, pool, rows, context);
            endTokens = random.nextBoolean() ? Set.of(3) : Set.of();
            scheduler = new Scheduler(
                    config,
                    new SizedExecutor(pool, rows, context),
                    new Results(endTokens, model.vocabulary, config.streamInterval()),
                    new SchedulerLog(RankLabel.NONE, false, config.decodeLogInterval(), this::logged),
                    0,
                    (port, executor, rank) -> new UnifiedRole(port),
                    queued,
                    r -> ended++,
                    () -> {});
        }

        private void logged(String line) {
            RetractLine.parse(line).ifPresent(retract -> retractions += retract.retracted());
        }

        void run() {
            int total = 1 + random.nextInt(14);
            int rarity = 1 + random.nextInt(3) * random.nextInt(8);
            int steps = 0;
            while (requests.size() < total || ended < total || !inFlight.isEmpty()) {
                if (requests.size() < total && (random.nextInt(rarity) == 0 || scheduler.idle())) {
                    arrive();
                }
                if (random.nextInt(40) == 0 && !requests.isEmpty()) {
                    requests.get(random.nextInt(requests.size())).askToAbort();
                    scheduler.endAborted();
                }
                if (random.nextInt(60) == 0 && inFlight.isEmpty()) {
                    assertThat(scheduler.flush()).isEqualTo(scheduler.idle());
                }
                turn();
                checkOwners();
                if (++steps > 40_000) {
                    throw new AssertionError("no end: " + requests);
                }
            }
            scheduler.atRest();
            for (Request request : requests) {
                judge(request);
            }
        }

        private void turn() {
            int depth = config.stepsInFlight();
            ScheduledStep step = inFlight.size() < depth ? scheduler.plan(!inFlight.isEmpty()) : null;
            if (step != null) {
                checkMicroBatch(step);
                if (step.plan().mode() == ForwardMode.EXTEND) {
                    for (boolean samples : step.plan().samples()) {
                        chunks += samples ? 0 : 1;
                    }
                }
                inFlight.addLast(new Launched(step, late ? null : ranks.execute(step.plan())));
            }
            if (!inFlight.isEmpty() && (step == null || inFlight.size() == depth || random.nextInt(5) == 0)) {
                Launched done = inFlight.removeFirst();
                scheduler.apply(done.step, late ? ranks.execute(done.step.plan()) : done.result);
            }
        }

        /** In a pipeline no decode step needs a token that is still under way, and no step takes more than its share. */
        private void checkMicroBatch(ScheduledStep step) {
            if (config.microBatches() == 1) {
                return;
            }
            fullPipelines += inFlight.size() >= 2 ? 1 : 0;
            if (step.plan().mode() != ForwardMode.DECODE) {
                return;
            }
            int share = Math.ceilDiv(scheduler.port().running().size(), config.microBatches());
            Integer most = config.maxMicroBatchRequests();
            assertThat(step.requests().length).isBetween(1, most == null ? share : Math.min(share, most));
            for (Request r : step.requests()) {
                for (Launched other : inFlight) {
                    assertThat(other.step.requests()).doesNotContain(r);
                }
            }
        }

        private void arrive() {
            int newTokens = 1 + random.nextInt(random.nextInt(3) == 0 ? 10 : 90);
            int longest = Math.max(1, context * (1 + random.nextInt(3)) / 3 - newTokens - 8);
            int[] prompt = new int[1 + random.nextInt(longest)];
            for (int i = 0; i < prompt.length; i++) {
                prompt[i] = random.nextInt(model.vocabulary);
            }
            if (!prompts.isEmpty() && random.nextInt(3) != 0) {
                int[] old = prompts.get(random.nextInt(prompts.size()));
                System.arraycopy(old, 0, prompt, 0, Math.min(old.length, random.nextInt(prompt.length + 1)));
            }
            prompts.add(prompt);
            SamplingParams sampling = SamplingParams.greedy(Math.min(newTokens, context - prompt.length - 3));
            EngineRequest source = EngineRequest.of("r" + requests.size(), prompt, sampling);
            Request request = new Request(source, this::told, sampling, 1, requests.size(), null);
            requests.add(request);
            queued.incrementAndGet();
            scheduler.enqueue(request);
        }

        private void told(RequestOutput output) {
            List<Integer> answer = answers.computeIfAbsent(output.rid(), rid -> new ArrayList<>());
            if (finishes.containsKey(output.rid())) {
                throw new AssertionError(output.rid() + " is told something after its end");
            }
            for (int id : output.newIds()) {
                answer.add(id);
            }
            assertThat(output.completionTokens()).isEqualTo(answer.size());
            if (output.isLast()) {
                finishes.put(output.rid(), output.finish());
                cachedTokens += output.cachedTokens();
            }
        }

        private void judge(Request request) {
            List<Integer> expected = model.answer(request.source().inputIds(), request.sampling(), endTokens);
            List<Integer> answer = answers.getOrDefault(request.rid(), List.of());
            FinishReason finish = finishes.get(request.rid());
            switch (finish) {
                case FinishReason.Abort a -> {
                    aborted++;
                    assertThat(a.statusCode()).isZero();
                    assertThat(expected.subList(0, Math.min(answer.size(), expected.size())))
                            .isEqualTo(answer);
                }
                case FinishReason.Length l -> {
                    assertThat(answer).isEqualTo(expected);
                    assertThat(l.length()).isEqualTo(request.sampling().maxNewTokens());
                }
                case FinishReason.StopToken s -> {
                    assertThat(answer).isEqualTo(expected);
                    assertThat(s.matched()).isEqualTo(expected.getLast());
                }
                case FinishReason.StopString s -> throw new AssertionError("no stop strings here");
            }
        }

        /** Every slot has one owner: the free list, the prefix cache or one request. */
        private void checkOwners() {
            KvSpace space = scheduler.space();
            int page = config.pageTokens();
            Set<Integer> pages = new HashSet<>();
            int own = 0;
            for (Request r : requests) {
                for (int i = r.treeTokens; i < r.filled; i += page) {
                    own += page;
                    if (!pages.add(r.slots[i] / page)) {
                        throw new AssertionError("page " + r.slots[i] / page + " has two owners: " + r);
                    }
                }
            }
            int all = own + space.freeTokens() + space.evictableTokens() + space.protectedTokens();
            if (all != space.totalTokens()) {
                throw new AssertionError(own + " own + " + space.freeTokens() + " free + " + space.evictableTokens()
                        + " evictable + " + space.protectedTokens() + " protected of " + space.totalTokens());
            }
        }
    }
}
