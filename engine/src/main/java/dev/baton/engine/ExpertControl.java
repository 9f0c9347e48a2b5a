package dev.baton.engine;

import java.util.List;
import java.util.concurrent.CompletableFuture;

/** Recording of the experts' loads: the engine hands the three endpoints of expert distribution on. */
public interface ExpertControl {
    /**
     * Forgets what was recorded and records every pass from now on.
     *
     * @return completes when every rank has begun; fails with INVALID_REQUEST when the server has no recorder
     */
    CompletableFuture<Void> start();

    /** Ends recording; what was recorded stays for {@link #dump}. */
    CompletableFuture<Void> stop();

    /** Writes what was recorded and forgets it; completes when the files are there. Fails when there is nothing. */
    CompletableFuture<Void> dump();

    /** Balancedness of the last pass of each replica, NaN before the first; empty where it is not measured. */
    List<Double> balancedness();

    /** An engine without a recorder: the calls fail and say so. */
    ExpertControl NONE = new ExpertControl() {
        @Override
        public CompletableFuture<Void> start() {
            return refused();
        }

        @Override
        public CompletableFuture<Void> stop() {
            return refused();
        }

        @Override
        public CompletableFuture<Void> dump() {
            return refused();
        }

        @Override
        public List<Double> balancedness() {
            return List.of();
        }

        private CompletableFuture<Void> refused() {
            return CompletableFuture.failedFuture(new EngineException(
                    EngineException.Code.INVALID_REQUEST,
                    "This server has no expert distribution recorder: start it with"
                            + " --expert-distribution-recorder-mode stat (or stat_approx, per_pass, per_token) and a model"
                            + " that has experts."));
        }
    };
}
