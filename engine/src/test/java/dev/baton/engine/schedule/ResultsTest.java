package dev.baton.engine.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.request.RequestOutput;
import dev.baton.model.tokenizer.IncrementalDecoder;
import dev.baton.protocol.FinishReason;
import dev.baton.protocol.SamplingParams;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class ResultsTest {
    private static final int END = 50;
    private final List<RequestOutput> outputs = new ArrayList<>();
    private final Results results = new Results(Set.of(END), 64, 1);

    /** Ids 0 to 25 are letters, 26 is "xyz", 27 half a character that the next token completes, others leave no text. */
    private static final class Letters implements IncrementalDecoder {
        private boolean half;

        @Override
        public void append(int id, StringBuilder out) {
            out.append(half ? "é" : "");
            half = id == 27;
            out.append(id < 26 ? String.valueOf((char) ('a' + id)) : id == 26 ? "xyz" : "");
        }

        @Override
        public void flush(StringBuilder out) {
            out.append(half ? "�" : "");
        }
    }

    private Request request(SamplingParams sampling) {
        return new Request(
                EngineRequest.of("r", new int[] {1, 2}, sampling), outputs::add, sampling, 0, 0, new Letters());
    }

    /** Feeds ids until the request ends or they are used up. */
    private FinishReason feed(Request r, int... ids) {
        for (int id : ids) {
            FinishReason reason = results.append(r, id, null);
            if (reason != null) {
                results.tellEnd(r, reason);
                return reason;
            }
            results.tell(r);
        }
        return null;
    }

    private String text() {
        StringBuilder text = new StringBuilder();
        outputs.forEach(o -> text.append(o.newText()));
        return text.toString();
    }

    private static SamplingParams params(int max, int min, List<String> stop, boolean ignoreEos, boolean noTrim) {
        return SamplingParams.DEFAULT.toBuilder()
                .maxNewTokens(max)
                .minNewTokens(min)
                .temperature(0)
                .stop(stop)
                .stopTokenIds(List.of(9))
                .ignoreEos(ignoreEos)
                .noStopTrim(noTrim)
                .build();
    }

    @Test
    void aStopTokenEndsTheTextAndLeavesNone() {
        assertThat(feed(request(params(10, 0, List.of(), false, false)), 0, 1, 9, 2))
                .isEqualTo(new FinishReason.StopToken(9));
        assertThat(text()).isEqualTo("ab");
        assertThat(outputs.getLast().newIds()).containsExactly(9);
        assertThat(outputs.getLast().completionTokens()).isEqualTo(3);
    }

    @Test
    void theModelsEndTokenEndsTheTextUnlessIgnored() {
        assertThat(feed(request(params(10, 0, List.of(), false, false)), END))
                .isEqualTo(new FinishReason.StopToken(END));
        assertThat(feed(request(params(3, 0, List.of(), true, false)), END, 9, 0))
                .isEqualTo(new FinishReason.Length(3));
    }

    @Test
    void lengthComesBeforeAStopTokenAndKeepsItsText() {
        assertThat(feed(request(params(2, 0, List.of(), false, false)), 0, 9)).isEqualTo(new FinishReason.Length(2));
        assertThat(text()).isEqualTo("aj");
    }

    @Test
    void lengthComesBeforeAStopStringAndKeepsItsText() {
        assertThat(feed(request(params(2, 0, List.of("b"), false, false)), 0, 1))
                .isEqualTo(new FinishReason.Length(2));
        assertThat(text()).isEqualTo("ab");
    }

    @Test
    void stopTokensAreHeldBackUntilTheLeastLength() {
        assertThat(feed(request(params(10, 3, List.of(), false, false)), 9, 9, 9, 0, END))
                .isEqualTo(new FinishReason.StopToken(END));
        assertThat(outputs.getLast().completionTokens()).isEqualTo(5);
    }

    @Test
    void aStopStringIsCutOffEvenAcrossTokensAndInsideOne() {
        assertThat(feed(request(params(10, 0, List.of("bc"), false, false)), 0, 1, 2))
                .isEqualTo(new FinishReason.StopString("bc"));
        assertThat(text()).isEqualTo("a");
        assertThat(outputs.get(1).newText()).isEmpty();

        outputs.clear();
        assertThat(feed(request(params(10, 0, List.of("y"), false, false)), 0, 26))
                .isEqualTo(new FinishReason.StopString("y"));
        assertThat(text()).isEqualTo("ax");
    }

    @Test
    void noStopTrimKeepsTheMatchAndTheStopTokensText() {
        assertThat(feed(request(params(10, 0, List.of("y"), false, true)), 0, 26))
                .isEqualTo(new FinishReason.StopString("y"));
        assertThat(text()).isEqualTo("axyz");
        outputs.clear();
        feed(request(params(10, 0, List.of(), false, true)), 0, 9);
        assertThat(text()).isEqualTo("aj");
    }

    @Test
    void textThatWasHeldBackIsSentWhenNoStopStringFollows() {
        assertThat(feed(request(params(10, 0, List.of("bcd"), false, false)), 0, 1, 2, 9))
                .isEqualTo(new FinishReason.StopToken(9));
        assertThat(text()).isEqualTo("abc");
    }

    @Test
    void halfACharacterAtTheEndIsAReplacementCharacter() {
        feed(request(params(2, 0, List.of(), false, false)), 0, 27);
        assertThat(text()).isEqualTo("a�");
    }

    @Test
    void anIdOutsideTheVocabularyEndsTheRequestAsAFault() {
        FinishReason reason = feed(request(params(10, 0, List.of(), false, false)), 0, 64);
        assertThat(reason).isInstanceOfSatisfying(FinishReason.Abort.class, a -> {
            assertThat(a.statusCode()).isEqualTo(500);
            assertThat(a.message()).contains("64");
        });
    }

    @Test
    void aStreamIntervalSendsTheFirstTokenThenEveryNth() {
        Results third = new Results(Set.of(), 64, 3);
        Request r = request(params(8, 0, List.of(), true, false));
        List<Integer> at = new ArrayList<>();
        for (int i = 1; i <= 8; i++) {
            FinishReason reason = third.append(r, i, null);
            if (reason == null) {
                third.tell(r);
            } else {
                third.tellEnd(r, reason);
            }
        }
        outputs.forEach(o -> at.add(o.completionTokens()));
        assertThat(at).containsExactly(1, 4, 7, 8);
        assertThat(outputs.stream().mapToInt(o -> o.newIds().length).sum()).isEqualTo(8);
    }

    @Test
    void aReceiverThatFailsEndsOnlyItsRequest() {
        SamplingParams sampling = SamplingParams.greedy(5);
        Request r = new Request(
                EngineRequest.of("r", new int[] {1}, sampling),
                output -> {
                    throw new IllegalStateException("gone");
                },
                sampling,
                0,
                0,
                null);
        assertThat(results.append(r, 1, null)).isNull();
        results.tell(r);
        assertThat(r.abortAsked()).isTrue();
    }
}
