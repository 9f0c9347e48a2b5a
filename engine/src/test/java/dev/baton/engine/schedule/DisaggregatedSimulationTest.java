package dev.baton.engine.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.RequestOutput;
import dev.baton.protocol.FinishReason;
import dev.baton.protocol.SamplingParams;
import dev.baton.protocol.log.DecodeLine;
import dev.baton.protocol.log.PrefillLine;
import dev.baton.protocol.log.RankLabel;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.junit.jupiter.api.Test;

/** Two schedulers, a prefill and a decode role over the role interface, KV copied between two fake memories. */
class DisaggregatedSimulationTest {
    private static final int SEEDS = 1_000;

    @Test
    void aPrefillAndADecodeSchedulerAnswerAsOneWouldAndNothingLeaks() {
        int retractions = 0;
        int answered = 0;
        int aborted = 0;
        for (int seed = 0; seed < SEEDS; seed++) {
            Pair pair = new Pair(seed);
            try {
                pair.run();
            } catch (AssertionError | RuntimeException e) {
                throw new AssertionError("seed " + seed, e);
            }
            retractions += pair.decode.retractions();
            answered += pair.answered;
            aborted += pair.aborted;
        }
        assertThat(answered).isGreaterThan(SEEDS * 2);
        assertThat(aborted).isGreaterThan(SEEDS / 10);
        assertThat(retractions).isGreaterThan(SEEDS / 20);
    }

    /** What the two sides know of a request. */
    private static final class Room {
        Request onPrefill;
        Request onDecode;
        boolean reserved;
        boolean sent;
        int firstToken;
    }

    private static final class Pair {
        final SplittableRandom random;
        final FakeModel model;
        final int context;
        final Side prefill;
        final Side decode;
        final Map<String, Room> rooms = new LinkedHashMap<>();
        int answered;
        int aborted;

        Pair(int seed) {
            random = new SplittableRandom(seed * 7_919L);
            model = new FakeModel(200);
            context = 40 + random.nextInt(80);
            int page = random.nextBoolean() ? 1 : 4;
            prefill = new Side(this, page, true, PrefillSide::of);
            decode = new Side(this, page, false, DecodeSide::of);
        }

        void run() {
            int total = 1 + random.nextInt(10);
            int turns = 0;
            Side slow = null;
            while (prefill.requests.size() < total || prefill.ended < total || decode.ended < total || busy()) {
                if (prefill.requests.size() < total && random.nextInt(3) == 0) {
                    arrive();
                }
                if (random.nextInt(30) == 0 && !prefill.requests.isEmpty()) {
                    // A client that goes away is seen by both sides.
                    int i = random.nextInt(prefill.requests.size());
                    for (Side side : List.of(prefill, decode)) {
                        side.requests.get(i).askToAbort();
                        side.scheduler.endAborted();
                    }
                }
                // Now and then one side goes on alone while the other only polls, as during a long step.
                if (random.nextInt(10) == 0) {
                    slow = random.nextInt(3) == 0 ? decode : random.nextInt(3) == 0 ? prefill : null;
                }
                Side side = random.nextBoolean() ? prefill : decode;
                if (side == slow) {
                    side.scheduler.role().poll();
                } else {
                    side.turn();
                }
                if (++turns > 50_000) {
                    throw new AssertionError("no end: " + prefill.requests + decode.requests);
                }
            }
            prefill.scheduler.atRest();
            decode.scheduler.atRest();
            judge();
        }

        private boolean busy() {
            return !prefill.inFlight.isEmpty() || !decode.inFlight.isEmpty();
        }

        private void arrive() {
            int newTokens = 1 + random.nextInt(60);
            int[] prompt = new int[1 + random.nextInt(Math.max(1, context - newTokens - 9))];
            for (int i = 0; i < prompt.length; i++) {
                prompt[i] = i < prompt.length / 2 ? i : random.nextInt(model.vocabulary);
            }
            SamplingParams sampling = SamplingParams.greedy(Math.min(newTokens, context - prompt.length - 3));
            String rid = "r" + prefill.requests.size();
            Room room = new Room();
            rooms.put(rid, room);
            EngineRequest source = EngineRequest.of(rid, prompt, sampling);
            room.onPrefill = prefill.add(source, sampling.withMaxNewTokens(1));
            room.onDecode = decode.add(source, sampling);
        }

        private void judge() {
            for (Request r : decode.requests) {
                List<Integer> expected = model.answer(r.source().inputIds(), r.sampling(), Set.of());
                List<Integer> answer = decode.answers.getOrDefault(r.rid(), List.of());
                if (decode.finishes.get(r.rid()) instanceof FinishReason.Abort) {
                    aborted++;
                    assertThat(expected.subList(0, answer.size())).isEqualTo(answer);
                } else {
                    answered++;
                    assertThat(answer).isEqualTo(expected);
                    assertThat(prefill.finishes.get(r.rid())).isEqualTo(new FinishReason.Length(0));
                    assertThat(prefill.answers.get(r.rid())).isEqualTo(expected.subList(0, 1));
                }
            }
        }
    }

    /** One scheduler with its ranks. */
    private static final class Side {
        final Pair pair;
        final FakeRanks ranks;
        final Scheduler scheduler;
        private final AtomicInteger queued = new AtomicInteger();
        final boolean overlap;
        final boolean late;
        final List<Request> requests = new ArrayList<>();
        final Map<String, List<Integer>> answers = new HashMap<>();
        final Map<String, FinishReason> finishes = new HashMap<>();
        /** Steps and their results; empty while the ranks have not run the step. */
        final ArrayDeque<Map.Entry<ScheduledStep, Optional<StepResult>>> inFlight = new ArrayDeque<>();

        int ended;

        Side(Pair pair, int page, boolean prefix, Function<Side, Function<SchedulerPort, RoleQueues>> role) {
            this.pair = pair;
            SplittableRandom random = pair.random;
            int pool = pair.context + 4 * page + random.nextInt(60);
            int rows = 2 + random.nextInt(6);
            overlap = random.nextBoolean();
            late = random.nextBoolean();
            ranks = new FakeRanks(pair.model, pool, rows, pair.context);
            SchedulerConfig config = SchedulerConfig.DEFAULT.toBuilder()
                    .pageTokens(page)
                    .chunkedPrefillTokens(random.nextBoolean() ? -1 : 8 * page)
                    .conservativeness(random.nextDouble() * 0.2)
                    .radixCache(prefix && random.nextBoolean())
                    .decodeLogInterval(3)
                    .build();
            scheduler = new Scheduler(
                    config,
                    new SizedExecutor(pool, rows, pair.context),
                    new Results(Set.of(), pair.model.vocabulary, 1),
                    new SchedulerLog(RankLabel.NONE, false, 3, this::logged),
                    0,
                    (port, executor, rank) -> role.apply(this).apply(port),
                    queued,
                    r -> ended++,
                    () -> {});
        }

        /** The lines of a role carry its part. */
        private void logged(String line) {
            PrefillLine.parse(line)
                    .ifPresent(p -> assertThat(p.prefillRole() != null)
                            .isEqualTo("prefill".equals(scheduler.role().name())));
            DecodeLine.parse(line).ifPresent(d -> assertThat(d.decodeRole()).isNotNull());
        }

        int retractions() {
            return scheduler.state(0).retractedRequests();
        }

        Request add(EngineRequest source, SamplingParams sampling) {
            Request r = new Request(source, this::told, sampling, 1, requests.size(), null);
            requests.add(r);
            queued.incrementAndGet();
            scheduler.enqueue(r);
            return r;
        }

        private void told(RequestOutput output) {
            List<Integer> answer = answers.computeIfAbsent(output.rid(), rid -> new ArrayList<>());
            for (int id : output.newIds()) {
                answer.add(id);
            }
            if (output.isLast()) {
                assertThat(finishes.put(output.rid(), output.finish())).isNull();
            }
        }

        void turn() {
            scheduler.role().poll();
            ScheduledStep step = inFlight.size() < (overlap ? 2 : 1) ? scheduler.plan(!inFlight.isEmpty()) : null;
            if (step != null) {
                // Ranks that lag behind run a step only when its result is asked for.
                inFlight.add(Map.entry(step, late ? Optional.empty() : Optional.of(ranks.execute(step.plan()))));
            }
            if (!inFlight.isEmpty() && (step == null || !overlap || inFlight.size() == 2)) {
                var done = inFlight.removeFirst();
                StepResult result = done.getValue()
                        .orElseGet(() -> ranks.execute(done.getKey().plan()));
                scheduler.apply(done.getKey(), result);
            }
        }
    }

    /** Waits for the decode side's slots, prefills, copies the KV, ends. */
    private record PrefillSide(Side side, SchedulerPort scheduler, List<Request> bootstrap, List<Request> sending)
            implements RoleQueues {
        static Function<SchedulerPort, RoleQueues> of(Side side) {
            return port -> new PrefillSide(side, port, new ArrayList<>(), new ArrayList<>());
        }

        @Override
        public String name() {
            return "prefill";
        }

        @Override
        public void enqueue(Request request) {
            bootstrap.add(request);
        }

        @Override
        public boolean poll() {
            for (Request r : List.copyOf(bootstrap)) {
                if (side.pair.rooms.get(r.rid()).reserved) {
                    bootstrap.remove(r);
                    scheduler.admit(r);
                }
            }
            for (Request r : List.copyOf(sending)) {
                if (side.pair.random.nextInt(4) == 0) {
                    send(r);
                }
            }
            return !bootstrap.isEmpty() || !sending.isEmpty();
        }

        private void send(Request r) {
            Room room = side.pair.rooms.get(r.rid());
            sending.remove(r);
            if (!room.onDecode.finished()) {
                int[] from = r.slots(0, r.promptTokens());
                int[] to = room.onDecode.slots(0, r.promptTokens());
                for (int i = 0; i < from.length; i++) {
                    side.pair.decode.ranks.kv[to[i]] = side.ranks.kv[from[i]];
                }
                room.firstToken = r.lastId();
                room.sent = true;
            }
            scheduler.finish(r, new FinishReason.Length(0));
        }

        @Override
        public boolean decodes() {
            return false;
        }

        @Override
        public void chunkComputed(Request request, int from, int to, boolean last) {
            assertThat(to).isLessThanOrEqualTo(request.promptTokens());
            if (last) {
                assertThat(request.generated()).isEqualTo(1);
                sending.add(request);
            }
        }

        @Override
        public boolean withdraw(Request request) {
            bootstrap.remove(request);
            sending.remove(request);
            return true;
        }

        @Override
        public Counts counts() {
            return new Counts(bootstrap.size(), sending.size(), 0, 0);
        }

        @Override
        public void close() {}
    }

    /** Reserves, waits for the KV, decodes. */
    private record DecodeSide(Side side, SchedulerPort scheduler, List<Request> prealloc, List<Request> transfer)
            implements RoleQueues {
        static Function<SchedulerPort, RoleQueues> of(Side side) {
            return port -> new DecodeSide(side, port, new ArrayList<>(), new ArrayList<>());
        }

        @Override
        public String name() {
            return "decode";
        }

        @Override
        public void enqueue(Request request) {
            prealloc.add(request);
        }

        @Override
        public boolean poll() {
            while (!prealloc.isEmpty()
                    && scheduler.waitingRequests() == 0
                    && scheduler.availableTokens() > prealloc.getFirst().promptTokens() + 8
                    && scheduler.reserve(prealloc.getFirst())) {
                Request r = prealloc.removeFirst();
                side.pair.rooms.get(r.rid()).reserved = true;
                transfer.add(r);
            }
            for (Request r : List.copyOf(transfer)) {
                Room room = side.pair.rooms.get(r.rid());
                if (room.sent && scheduler.running().size() < scheduler.runningLimit()) {
                    transfer.remove(r);
                    scheduler.enterDecode(r, room.firstToken, null, List.of());
                }
            }
            return !prealloc.isEmpty() || !transfer.isEmpty();
        }

        @Override
        public boolean decodes() {
            return true;
        }

        @Override
        public void chunkComputed(Request request, int from, int to, boolean last) {}

        @Override
        public boolean withdraw(Request request) {
            // A request that was aborted before it had slots must not keep the other side waiting.
            side.pair.rooms.get(request.rid()).reserved = true;
            prealloc.remove(request);
            transfer.remove(request);
            return true;
        }

        @Override
        public Counts counts() {
            long held = transfer.stream().mapToLong(Request::filledTokens).sum();
            return new Counts(prealloc.size(), transfer.size(), held, 0);
        }

        @Override
        public void close() {}
    }
}
