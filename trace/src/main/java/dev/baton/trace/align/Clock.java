package dev.baton.trace.align;

/**
 * How one rank's clock stands to the first rank's, judged by the ends of collectives, which all ranks leave together.
 *
 * @param matched collectives the estimate rests on
 * @param offsetNanos median of this rank's ends minus the first rank's
 * @param residualNanos median distance of the single differences from that median
 * @param residual95Nanos the distance that 95% of them stay below
 * @param isCorrected whether the offset was taken out: it is far above the residual, and the hosts may differ
 */
public record Clock(int matched, long offsetNanos, long residualNanos, long residual95Nanos, boolean isCorrected) {
    static final Clock REFERENCE = new Clock(0, 0, 0, 0, false);

    /** What is taken from this rank's times. */
    public long correctionNanos() {
        return isCorrected ? offsetNanos : 0;
    }
}
