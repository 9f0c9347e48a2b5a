package dev.baton.bench.schedule;

import com.sun.management.ThreadMXBean;
import dev.baton.bench.CommandLine;
import dev.baton.engine.EngineInfo;
import dev.baton.engine.LocalEngine;
import dev.baton.engine.request.EngineRequest;
import dev.baton.engine.schedule.SchedulePolicy;
import dev.baton.engine.schedule.SchedulerConfig;
import dev.baton.engine.schedule.StepObserver;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.protocol.SamplingParams;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;

/**
 * CPU time and bytes allocated by the scheduler's thread for a step: messages, plan, launch, results, outputs to sinks,
 * figures published; ranks that cost nothing. Windows of steps are told one by one, so that growth would show.
 *
 * <p>Usage: {@code SchedulerBench [--running N] [--queued N] [--prompt TOKENS] [--page N] [--window STEPS]
 * [--windows N] [--policy fcfs|lpm] [--churn]}; with {@code --churn} requests write 64 tokens each, so that every few
 * steps some end and others are admitted.
 */
public final class SchedulerBench {
    private final int running;
    private final int queued;
    private final int prompt;
    private final int page;
    private final int window;
    private final int windows;
    private final boolean churn;
    private final SchedulePolicy policy;

    private SchedulerBench(List<String> options) {
        running = CommandLine.number(options, "--running", 256);
        queued = CommandLine.number(options, "--queued", 1000);
        prompt = CommandLine.number(options, "--prompt", 512);
        page = CommandLine.number(options, "--page", 1);
        window = CommandLine.number(options, "--window", 2000);
        windows = CommandLine.number(options, "--windows", 10);
        churn = options.contains("--churn");
        int at = options.indexOf("--policy");
        policy = SchedulePolicy.of(at < 0 ? "fcfs" : options.get(at + 1));
    }

    public static void main(String[] arguments) throws InterruptedException {
        new SchedulerBench(Arrays.asList(arguments)).run();
    }

    /** Reads the scheduler thread's own counters at the borders of windows; on that thread. */
    private final class Meter implements StepObserver {
        private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        private final CountDownLatch done = new CountDownLatch(1);
        private int steps;
        private int taken = -1;
        private long cpu;
        private long bytes;

        @Override
        public void beforeStep(StepPlan plan) {
            boolean steady = churn ? plan.step() > 200 : plan.sequences() == running;
            if (taken < 0 && steady || taken >= 0 && ++steps == window) {
                border();
            }
        }

        private void border() {
            long cpuNow = threads.getCurrentThreadCpuTime();
            long bytesNow = threads.getCurrentThreadAllocatedBytes();
            if (taken >= 0) {
                System.out.printf(
                        Locale.ROOT,
                        "window %2d: %7.2f us CPU a step, %8.0f bytes allocated a step%n",
                        taken,
                        (cpuNow - cpu) / 1e3 / window,
                        (double) (bytesNow - bytes) / window);
            }
            if (++taken == windows) {
                done.countDown();
            }
            steps = 0;
            cpu = threads.getCurrentThreadCpuTime();
            bytes = threads.getCurrentThreadAllocatedBytes();
        }
    }

    private void run() throws InterruptedException {
        int newTokens = churn ? 64 : window * (windows + 2);
        int context = prompt + newTokens + 16;
        int pool = (int) Math.min(1L << 24, (long) (running + 8) * (context + 2 * page));
        System.out.printf(
                Locale.ROOT,
                "%d running, %d queued, prompts of %d tokens, page %d, %s%s, pool %d tokens, load average %.2f%n",
                running,
                queued,
                prompt,
                page,
                policy,
                churn ? ", churn" : "",
                pool,
                ManagementFactory.getOperatingSystemMXBean().getSystemLoadAverage());
        SchedulerConfig config = SchedulerConfig.DEFAULT.toBuilder()
                .maxRunningRequests(running)
                .maxQueuedRequests(1 << 20)
                .pageTokens(page)
                .chunkedPrefillTokens(8192)
                .policy(policy)
                .conservativeness(0)
                .build();
        Meter meter = new Meter();
        EngineInfo model = new EngineInfo("", "", "", 1000, context, 0, 0, 0, 0, 1, 1, null, 0, 0);
        try (LocalEngine engine = LocalEngine.builder(model, config, rank -> new FreeExecutor(pool, running, context))
                .observers(rank -> List.of(meter))
                .log(line -> {})
                .build()) {
            SplittableRandom random = new SplittableRandom(1);
            long total = churn ? (long) window * (windows + 2) * running / 60 + queued : running + queued;
            for (long i = 0; i < total && meter.done.getCount() > 0; i++) {
                int[] ids = random.ints(prompt, 0, 1000).toArray();
                engine.submit(EngineRequest.of("r" + i, ids, SamplingParams.greedy(newTokens)), output -> {});
                while (churn && engine.load().getFirst().waitingRequests() > queued) {
                    Thread.onSpinWait();
                }
            }
            meter.done.await();
        }
    }
}
