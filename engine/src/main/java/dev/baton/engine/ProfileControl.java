package dev.baton.engine;

import dev.baton.protocol.ProfileRequest;
import java.util.concurrent.CompletableFuture;

/** Starts and stops recording on every rank; the engine hands {@code /start_profile} and {@code /stop_profile} on. */
public interface ProfileControl {
    /** As {@link Engine#startProfile}. */
    CompletableFuture<Void> start(ProfileRequest request);

    /** As {@link Engine#stopProfile}. */
    CompletableFuture<Void> stop();

    /** An engine that records nothing: both calls fail and say so. */
    ProfileControl NONE = new ProfileControl() {
        @Override
        public CompletableFuture<Void> start(ProfileRequest request) {
            return refused();
        }

        @Override
        public CompletableFuture<Void> stop() {
            return refused();
        }

        private CompletableFuture<Void> refused() {
            return CompletableFuture.failedFuture(new EngineException(
                    EngineException.Code.INVALID_REQUEST, "This engine was started without a profiler."));
        }
    };
}
