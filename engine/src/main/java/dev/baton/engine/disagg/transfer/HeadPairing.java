package dev.baton.engine.disagg.transfer;

import java.util.ArrayList;
import java.util.List;

/**
 * Which prefill ranks a decode rank takes its heads from, when both sides may have different tensor-parallel sizes.
 *
 * <p>A latent cache is the same on every rank, so each decode rank pulls all of it from one prefill rank and decode
 * ranks spread over the prefill ranks; the other prefill ranks send nothing.
 */
final class HeadPairing {
    private HeadPairing() {}

    /**
     * @param prefillRank where the heads come from
     * @param firstHead first head taken from there
     * @param heads how many
     */
    record Part(int prefillRank, int firstHead, int heads) {}

    /**
     * The parts of decode rank {@code rank} of {@code ranks}; each of its heads is covered exactly once.
     *
     * @param wanted the heads that this decode rank holds
     * @param prefill share of prefill rank 0, 1, ...
     */
    static List<Part> parts(HeadShare wanted, int rank, int ranks, List<HeadShare> prefill) {
        int preferred = (int) ((long) rank * prefill.size() / ranks);
        List<Part> parts = new ArrayList<>();
        int head = wanted.first();
        while (head < wanted.end()) {
            int source = holder(head, preferred, prefill);
            int end = Math.min(wanted.end(), prefill.get(source).end());
            parts.add(new Part(source, head, end - head));
            head = end;
        }
        return parts;
    }

    private static int holder(int head, int preferred, List<HeadShare> prefill) {
        for (int i = 0; i < prefill.size(); i++) {
            int candidate = (preferred + i) % prefill.size();
            HeadShare share = prefill.get(candidate);
            if (share.first() <= head && head < share.end()) {
                return candidate;
            }
        }
        throw new IllegalArgumentException("no prefill rank holds head " + head);
    }
}
