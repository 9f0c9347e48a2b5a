package dev.baton.trace.expert;

import java.util.ArrayList;
import java.util.List;

/**
 * One choice of redundancy and group size.
 *
 * @param gpus of the expert-parallel group
 * @param redundant experts beside the logical ones
 * @param trivial balancedness of the trivial placement with as many slots
 * @param balanced balancedness with EPLB's placement
 */
public record WhatIf(int gpus, int redundant, double trivial, double balanced) {
    /** Every combination that divides evenly. */
    public static List<WhatIf> table(ExpertCounts counts, int[] gpuSizes, int[] redundancies, int groups, int nodes) {
        List<WhatIf> rows = new ArrayList<>();
        for (int gpus : gpuSizes) {
            for (int redundant : redundancies) {
                int slots = counts.experts() + redundant;
                if (slots % gpus != 0 || gpus % nodes != 0) {
                    continue;
                }
                Placement trivial = Placement.trivial(counts.counts().length, counts.experts(), slots, gpus);
                Placement balanced = Eplb.balance(counts.counts(), slots, groups, nodes, gpus);
                rows.add(new WhatIf(gpus, redundant, trivial.balancedness(counts), balanced.balancedness(counts)));
            }
        }
        return rows;
    }

    /**
     * Step time predicted from a traced step: expert GEMMs last as long as the most loaded GPU needs, so their time scales
     * with 1 / balancedness; all else stays.
     *
     * @param stepMillis traced
     * @param expertMillis of expert GEMMs in it
     * @param tracedBalancedness at which it was traced
     */
    public double stepMillis(double stepMillis, double expertMillis, double tracedBalancedness) {
        return stepMillis - expertMillis + expertMillis * tracedBalancedness / balanced;
    }
}
