package dev.baton.trace.diff;

import dev.baton.trace.classify.KernelClass;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;

/**
 * Pairs the kernels of two sides: by full name first; of those left over, by class, launches a step and order of first
 * appearance, because a new version of a kernel has a new name and the old place.
 */
final class KernelMatcher {
    private final Side a;
    private final Side b;

    KernelMatcher(Side a, Side b) {
        this.a = a;
        this.b = b;
    }

    /** All kernels of both sides, largest difference first. */
    List<TraceDiff.KernelPair> pairs() {
        Map<String, KernelClass> namesA = a.kernelNames();
        Map<String, KernelClass> namesB = b.kernelNames();
        List<String> onlyB = new ArrayList<>(
                namesB.keySet().stream().filter(n -> !namesA.containsKey(n)).toList());
        List<TraceDiff.KernelPair> pairs = new ArrayList<>();
        namesA.forEach((name, kernelClass) -> {
            String partner = namesB.containsKey(name) ? name : partner(name, kernelClass, namesB, onlyB);
            onlyB.remove(partner);
            pairs.add(pair(name, partner, kernelClass));
        });
        namesB.forEach((name, kernelClass) -> {
            if (onlyB.contains(name)) {
                pairs.add(pair(name, name, kernelClass));
            }
        });
        pairs.sort(Comparator.comparingDouble(p -> -Math.abs(p.comparison().difference())));
        return pairs;
    }

    private String partner(String name, KernelClass kernelClass, Map<String, KernelClass> namesB, List<String> onlyB) {
        double launches = a.launches(name);
        return onlyB.stream()
                .filter(n -> namesB.get(n) == kernelClass && Math.abs(b.launches(n) - launches) < 1e-9)
                .findFirst()
                .orElse(name);
    }

    private TraceDiff.KernelPair pair(String name, String partner, KernelClass kernelClass) {
        return new TraceDiff.KernelPair(
                Comparison.of(name, a.kernel(name), b.kernel(partner)),
                kernelClass,
                a.launches(name),
                b.launches(partner),
                partner.equals(name) ? "" : partner);
    }
}
