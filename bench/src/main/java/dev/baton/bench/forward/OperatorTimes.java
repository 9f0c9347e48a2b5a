package dev.baton.bench.forward;

import dev.baton.engine.forward.PendingStep;
import dev.baton.engine.forward.RankObserver;
import dev.baton.engine.schedule.ForwardMode;
import dev.baton.engine.schedule.StepPlan;
import dev.baton.engine.schedule.StepResult;
import dev.baton.tensor.Ops;
import dev.baton.tensor.Tensor;
import dev.baton.tensor.Weight;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.Comparator;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** Sums the wall time of each operator by the kind of step; linear layers by their shape. */
final class OperatorTimes {
    private final Map<String, long[]> sums = new TreeMap<>();
    private ForwardMode mode = ForwardMode.IDLE;
    private long stepNanos;

    private void add(String name, long nanos) {
        long[] sum = sums.computeIfAbsent(mode + " " + name, key -> new long[2]);
        sum[0] += nanos;
        sum[1]++;
    }

    private static String name(String method, Object[] arguments) {
        if (!method.equals("linear")) {
            return method;
        }
        Weight weight = (Weight) arguments[1];
        Tensor x = (Tensor) arguments[0];
        return "linear " + x.rows() + " x " + weight.inFeatures() + " -> " + weight.outFeatures();
    }

    RankObserver observer() {
        return new Recorder();
    }

    /** Watches nothing. */
    static RankObserver none() {
        return new OperatorTimes().observer();
    }

    private final class Recorder implements RankObserver {
        private final long[] began = new long[Phase.values().length];

        @Override
        public Ops wrap(Ops ops) {
            return (Ops) Proxy.newProxyInstance(
                    Ops.class.getClassLoader(), new Class<?>[] {Ops.class}, (proxy, method, arguments) -> {
                        long start = System.nanoTime();
                        try {
                            return method.invoke(ops, arguments);
                        } catch (InvocationTargetException e) {
                            throw e.getCause();
                        } finally {
                            add(name(method.getName(), arguments), System.nanoTime() - start);
                        }
                    });
        }

        @Override
        public void stepBegan(StepPlan plan) {
            mode = plan.mode();
            stepNanos -= System.nanoTime();
        }

        @Override
        public void stepEnded(StepPlan plan, PendingStep step) {
            stepNanos += System.nanoTime();
            StepResult result = step.await();
            add("= step", result.endNanos() - result.startNanos());
        }

        @Override
        public void phaseBegan(Phase phase) {
            began[phase.ordinal()] = System.nanoTime();
        }

        @Override
        public void phaseEnded(Phase phase) {
            add("= phase " + phase, System.nanoTime() - began[phase.ordinal()]);
        }
    }

    void print(PrintStream out) {
        sums.entrySet().stream()
                .sorted(Comparator.comparing(
                                (Map.Entry<String, long[]> e) -> e.getKey().startsWith("EXTEND") ? 0 : 1)
                        .thenComparing(e -> -e.getValue()[0]))
                .forEach(e -> out.printf(
                        Locale.ROOT,
                        "%-50s %8d calls %10.2f ms%n",
                        e.getKey(),
                        e.getValue()[1],
                        e.getValue()[0] * 1e-6));
        out.printf(Locale.ROOT, "all steps %.2f ms%n", stepNanos * 1e-6);
    }
}
