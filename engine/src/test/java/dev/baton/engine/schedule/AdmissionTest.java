package dev.baton.engine.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.engine.request.EngineRequest;
import dev.baton.protocol.SamplingParams;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class AdmissionTest {
    private static final int POOL = 1_000;
    private final WaitingQueue waiting = new WaitingQueue();
    private final List<Request> running = new ArrayList<>();
    private int arrivals;

    private Request request(int promptTokens, int firstId, int newTokens) {
        int[] ids = new int[promptTokens];
        Arrays.setAll(ids, i -> firstId + i);
        SamplingParams sampling = SamplingParams.greedy(newTokens);
        return new Request(EngineRequest.of("r" + arrivals, ids, sampling), o -> {}, sampling, 0, arrivals++, null);
    }

    private Request wait(int promptTokens, int newTokens) {
        Request r = request(promptTokens, arrivals * 10_000, newTokens);
        waiting.add(r);
        return r;
    }

    private static SchedulerConfig.Builder config() {
        return SchedulerConfig.DEFAULT.toBuilder().chunkedPrefillTokens(-1).maxPrefillTokens(POOL);
    }

    private Admission admission(SchedulerConfig config, KvSpace space, int limit) {
        return new Admission(config, space, waiting, limit);
    }

    private static KvSpace space(int page) {
        return new KvSpace(POOL + page - 1, page, 16, true);
    }

    private static List<String> rids(Admission.Selection selection) {
        return selection.requests().stream().map(Request::rid).toList();
    }

    @Test
    void takesInOrderWhileTheAnswersFitToo() {
        wait(300, 100);
        wait(300, 100);
        wait(100, 101);
        Admission.Selection selection =
                admission(config().build(), space(1), 16).select(running, 0, 0.5);
        assertThat(rids(selection)).containsExactly("r0", "r1");
        assertThat(selection.newTokens()).isEqualTo(600);
        assertThat(waiting.size()).isEqualTo(1);
    }

    @Test
    void keepsFreeWhatRunningRequestsAreExpectedToNeed() {
        KvSpace space = space(1);
        Request old = request(100, 0, 400);
        space.enter(old);
        space.extend(old, 100);
        running.add(old);
        wait(500, 100);
        // 900 are free; 400 * 0.75 are kept for the running request, and 600 do not go into 600.
        assertThat(admission(config().build(), space, 16).select(running, 0, 0.75))
                .isNull();
        assertThat(rids(admission(config().build(), space, 16).select(running, 0, 0.74)))
                .containsExactly("r1");
    }

    @Test
    void looksAgainOnlyAfterSomethingWasGivenBack() {
        KvSpace space = space(1);
        Admission admission = admission(config().build(), space, 1);
        Request first = wait(10, 5);
        wait(10, 5);
        assertThat(rids(admission.select(running, 0, 0))).containsExactly("r0");
        running.add(first);
        assertThat(admission.select(running, 0, 0)).isNull();
        running.clear();
        assertThat(admission.select(running, 0, 0)).as("nothing was given back").isNull();
        admission.released();
        assertThat(rids(admission.select(running, 0, 0))).containsExactly("r1");
    }

    @Test
    void cutsOnePromptAtAPageAndGoesOnWithItFirst() {
        KvSpace space = space(16);
        Admission admission =
                admission(config().pageTokens(16).chunkedPrefillTokens(64).build(), space, 16);
        wait(20, 5);
        Request cut = wait(100, 5);
        wait(10, 5);
        Admission.Selection first = admission.select(running, 0, 0);
        assertThat(rids(first)).containsExactly("r0", "r1");
        assertThat(cut.filledTokens()).isEqualTo(32);
        assertThat(admission.chunked()).isSameAs(cut);
        Admission.Selection second = admission.select(running, 0, 0);
        assertThat(rids(second)).containsExactly("r1");
        assertThat(cut.filledTokens()).isEqualTo(96);
        Admission.Selection third = admission.select(running, 0, 0);
        assertThat(rids(third)).containsExactly("r1", "r2");
        assertThat(third.newTokens()).isEqualTo(14);
        assertThat(admission.chunked()).isNull();
    }

    @Test
    void aStepTakesNoMoreThanItsPrefillTokensUnlessOnePromptAloneIsLonger() {
        Admission admission = admission(config().maxPrefillTokens(100).build(), space(1), 16);
        wait(250, 1);
        wait(60, 1);
        wait(60, 1);
        assertThat(rids(admission.select(running, 0, 0))).containsExactly("r0");
        assertThat(rids(admission.select(running, 0, 0))).containsExactly("r1");
        assertThat(rids(admission.select(running, 0, 0))).containsExactly("r2");
    }

    @Test
    void longestPrefixMatchGoesFirstWhileFewWait() {
        KvSpace space = space(1);
        Request cached = request(50, 0, 1);
        space.enter(cached);
        space.extend(cached, 50);
        space.release(cached, true);
        SchedulerConfig lpm =
                config().policy(SchedulePolicy.LPM).maxPrefillTokens(60).build();
        waiting.add(request(60, 5_000, 1));
        waiting.add(request(60, 0, 1));
        Admission.Selection selection = admission(lpm, space, 16).select(running, 0, 0);
        assertThat(rids(selection)).containsExactly("r2");
        assertThat(selection.cachedTokens()).isEqualTo(50);
        assertThat(selection.newTokens()).isEqualTo(10);

        for (int i = 0; i < WaitingQueue.LPM_LIMIT + 1; i++) {
            waiting.add(request(60, 0, 1));
        }
        assertThat(rids(admission(lpm, space, 16).select(running, 0, 0)).getFirst())
                .isEqualTo("r1");
    }

    @Test
    void promptPositionsWhoseLogprobsAreWantedAreComputedAnew() {
        KvSpace space = space(1);
        Request cached = request(50, 0, 1);
        space.enter(cached);
        space.extend(cached, 50);
        space.release(cached, true);
        SamplingParams sampling = SamplingParams.greedy(1);
        int[] ids = new int[50];
        Arrays.setAll(ids, i -> i);
        waiting.add(new Request(
                new EngineRequest("p", ids, sampling, new EngineRequest.LogprobSpec(20, 0, new int[0]), null, null),
                o -> {},
                sampling,
                0,
                9,
                null));
        assertThat(admission(config().build(), space, 16).select(running, 0, 0).cachedTokens())
                .isEqualTo(19);
    }

    @Test
    void victimsHaveWrittenLeastAndOnATieReadMost() {
        KvSpace space = new KvSpace(100, 1, 16, false);
        DecodeBatch batch = new DecodeBatch(space, 1, Integer.MAX_VALUE);
        int[][] promptAndOutput = {{10, 5}, {30, 2}, {20, 2}, {20, 9}};
        for (int[] lengths : promptAndOutput) {
            Request r = request(lengths[0], 0, 50);
            for (int i = 0; i < lengths[1]; i++) {
                r.append(1);
            }
            space.takeRow(r);
            space.extend(r, r.known - 1);
            batch.add(r);
        }
        // 94 of 100 are held; a neighbour takes 5 more, so that four new tokens do not fit.
        Request neighbour = request(5, 0, 1);
        space.extend(neighbour, 5);
        List<Request> victims = batch.retract(r -> {
            space.release(r, false);
            r.phase = Request.Phase.WAITING;
        });
        assertThat(victims).extracting(Request::rid).containsExactly("r1");
        assertThat(batch.running()).extracting(Request::rid).containsExactly("r0", "r2", "r3");
    }

    @Test
    void theRatioFallsOverSixHundredStepsAndRisesAfterARetraction() {
        NewTokenRatio ratio = new NewTokenRatio(1);
        assertThat(ratio.value()).isEqualTo(0.7);
        for (int i = 0; i < 300; i++) {
            ratio.decay();
        }
        assertThat(ratio.value()).isCloseTo(0.7 * 0.57, org.assertj.core.data.Offset.offset(1e-9));
        for (int i = 0; i < 1_000; i++) {
            ratio.decay();
        }
        assertThat(ratio.value()).isEqualTo(0.7 * 0.14);
        Request r = request(5, 0, 100);
        for (int i = 0; i < 30; i++) {
            r.append(1);
        }
        ratio.raise(List.of(r));
        assertThat(ratio.value()).isEqualTo(50.0 / 101);
        ratio.reset();
        assertThat(ratio.value()).isEqualTo(0.7);
        assertThat(new NewTokenRatio(2).value()).isEqualTo(1);
    }
}
