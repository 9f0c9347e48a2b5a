package dev.baton.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.baton.engine.EngineException;
import dev.baton.lab.evaluate.EvalPrompt;
import dev.baton.lab.evaluate.Evaluation;
import dev.baton.lab.evaluate.HttpAnswerer;
import dev.baton.trace.expert.ExpertCounts;
import dev.baton.trace.expert.ExpertFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Experts move under load and nobody notices; what a recorder writes places the experts of the next server. */
class ExpertBalancingTest {
    private static final Pattern WRITTEN = Pattern.compile("Write expert distribution to (\\S+\\.json)");

    @Test
    void recordsThroughTheRouterWhileExpertsMoveAndTheFilePlacesExperts() throws Exception {
        Path file;
        try (ServerUnderTest worker = ServerUnderTest.serve(
                        "eplb",
                        ServerUnderTest.NANO,
                        "--cpu-threads=1",
                        "--tp-size=4",
                        "--ep-size=4",
                        "--ep-num-redundant-experts=8",
                        "--ep-dispatch-algorithm=dynamic",
                        "--enable-eplb",
                        "--eplb-rebalance-num-iterations=15",
                        "--eplb-rebalance-layers-per-chunk=2",
                        "--expert-distribution-recorder-buffer-size=-1",
                        "--enable-expert-distribution-metrics",
                        "--enable-metrics");
                ServerUnderTest router = ServerUnderTest.route(
                        "eplb-router", "--worker-urls", worker.url().toString())) {
            assertThat(router.post("/dump_expert_distribution_record", "").body())
                    .contains("Nothing was recorded: call /start_expert_distribution_record");
            assertThat(router.post("/start_expert_distribution_record", "").body())
                    .contains("Start recording the expert distribution.");
            requireRight(router);
            assertThat(router.get("/stop_expert_distribution_record").statusCode())
                    .isEqualTo(200);
            assertThat(worker.get("/dump_expert_distribution_record").body())
                    .isEqualTo("Dump expert distribution record.\n");
            Matcher written = WRITTEN.matcher(worker.log());
            assertThat(written.find()).isTrue();
            file = Path.of(written.group(1));
            assertThat(worker.log())
                    .contains("[EPLBManager] rebalance end time=")
                    .containsPattern(
                            "\\[Expert Balancedness] forward_pass_id=\\d+ current_pass_balancedness=0\\.\\d{3}");
            assertThat(worker.get("/metrics").body()).containsPattern("sglang:eplb_balancedness\\{[^}]*} 0\\.\\d+");
        }
        try {
            ExpertCounts counts = ExpertFile.read(file);
            assertThat(counts.steps()).isGreaterThan(15);
            assertThat(counts.moeLayers()).containsExactly(1, 2, 3, 4);
            assertThat(counts.faults(4)).isEmpty();
            List<Questions.Question> questions = Questions.of("json", 3);
            List<List<Integer>> alone;
            try (EngineAssembly plain = Questions.engine()) {
                alone = Questions.ids(Questions.together(plain.engine(), questions));
            }
            try (EngineAssembly placed = Questions.engine(
                    "--tp-size=4", "--ep-size=4", "--ep-num-redundant-experts=4", "--init-expert-location=" + file)) {
                assertThat(Questions.ids(Questions.together(placed.engine(), questions)))
                        .isEqualTo(alone);
            }
        } finally {
            Files.delete(file);
        }
    }

    /** Two domains, 64 at once: no request fails and every answer is right. */
    private static void requireRight(ServerUnderTest router) throws Exception {
        List<EvalPrompt> prompts = EvalPrompt.read(ServerUnderTest.NANO.resolve("eval.jsonl")).stream()
                .filter(p -> p.domain().equals("json") || p.domain().equals("copy"))
                .toList();
        try (HttpAnswerer answerer = new HttpAnswerer(router.url())) {
            Evaluation.Score score =
                    Evaluation.run(prompts, answerer, 64, answered -> {}).total();
            assertThat(score.failed()).isZero();
            assertThat(score.right()).isEqualTo(prompts.size());
        }
    }

    @Test
    void locationsThatDoNotFitAreRefusedByName() {
        assertThatThrownBy(() -> Questions.engine("--init-expert-location=nowhere.pt"))
                .isInstanceOf(EngineException.class)
                .hasMessage("--init-expert-location: nowhere.pt: there is no such file");
        assertThatThrownBy(() -> Questions.engine("--init-expert-location={\"logical_count\": [[1, 2]]}"))
                .hasMessageContaining("logical_count is of 1 layers x 2 experts, the model has 5")
                .hasMessageContaining("x 32");
        assertThatThrownBy(() -> Questions.engine("--enable-eplb")).hasMessageContaining("--ep-size is 1");
        assertThatThrownBy(() -> Questions.engine("--eplb-rebalance-layers-per-chunk=0", "--enable-eplb"))
                .hasMessageContaining("must be at least 1, got 0");
    }
}
