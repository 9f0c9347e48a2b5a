package dev.baton.protocol;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The body of {@code /start_profile}.
 *
 * @param outputDir where the server writes; null takes {@code SGLANG_TORCH_PROFILER_DIR}, then {@code /tmp}
 * @param startStep absolute forward step at which to begin; null or 0 begins at once
 * @param numSteps steps to record, then the files are written by themselves; null waits for {@code /stop_profile}
 * @param activities CPU, GPU, MEM, CUDA_PROFILER and {@link #OPERATORS}; unknown names are ignored
 * @param profileByStage a file for prefill and one for decode, {@code numSteps} of each
 * @param withStack accepted, stacks of a JVM are not recorded
 * @param recordShapes operator shapes in the trace; null means on
 * @param mergeProfiles rank 0 writes one merged file as well
 * @param profilePrefix put before the file name, with a hyphen
 * @param profileId epoch seconds shared by all ranks, first part of the file name
 */
public record ProfileRequest(
        @Nullable String outputDir,
        @Nullable Long startStep,
        @Nullable Integer numSteps,
        List<String> activities,
        boolean profileByStage,
        @Nullable Boolean withStack,
        @Nullable Boolean recordShapes,
        boolean mergeProfiles,
        @Nullable String profilePrefix,
        String profileId) {
    /** Baton's own activity: steps run operator by operator and are waited for, so that each operator has its span. */
    public static final String OPERATORS = "OPERATORS";

    public ProfileRequest {
        activities = List.copyOf(activities);
    }
}
