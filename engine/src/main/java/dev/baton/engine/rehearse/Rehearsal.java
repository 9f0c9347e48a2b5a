package dev.baton.engine.rehearse;

import dev.baton.engine.EngineException;
import dev.baton.engine.parallel.CommunicatorSupplier;
import dev.baton.engine.parallel.DeviceSupplier;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What is modelled: a network between the ranks, ranks that are slow. {@link #OFF} changes nothing.
 *
 * @param link null for the machine's own
 * @param slowRanks factor of each slow rank, by its number in the server
 */
public record Rehearsal(@Nullable LinkModel link, Map<Integer, Double> slowRanks) {
    /** Nothing is modelled. */
    public static final Rehearsal OFF = new Rehearsal(null, Map.of());

    private static final Pattern LINK =
            Pattern.compile("link=(\\d+(?:\\.\\d+)?)(ns|us|ms|s),(\\d+(?:\\.\\d+)?)([KMG]?)(B|b)/s");
    private static final Pattern SLOW = Pattern.compile("slow-rank=(\\d+):(\\d+(?:\\.\\d+)?)");

    public Rehearsal {
        slowRanks = Map.copyOf(slowRanks);
    }

    /**
     * Reads {@code link=LATENCY,BANDWIDTH} and {@code slow-rank=R:FACTOR}.
     *
     * @throws EngineException CONFIGURATION naming what is wrong
     */
    public static Rehearsal of(List<String> words) {
        LinkModel link = null;
        Map<Integer, Double> slow = new TreeMap<>();
        for (String word : words) {
            Matcher asLink = LINK.matcher(word);
            Matcher asSlow = SLOW.matcher(word);
            if (asLink.matches() && link == null) {
                link = link(word, asLink);
            } else if (asSlow.matches()) {
                double factor = Double.parseDouble(asSlow.group(2));
                if (factor < 1) {
                    throw invalid(word, "a factor is at least 1");
                }
                slow.put(Integer.parseInt(asSlow.group(1)), factor);
            } else {
                throw invalid(
                        word,
                        asLink.matches()
                                ? "the link is given twice"
                                : "say link=LATENCY,BANDWIDTH (link=50us,10GB/s) or slow-rank=R:FACTOR (slow-rank=1:2.5)");
            }
        }
        return new Rehearsal(link, slow);
    }

    private static LinkModel link(String word, Matcher link) {
        double latency = Double.parseDouble(link.group(1))
                * switch (link.group(2)) {
                    case "ns" -> 1;
                    case "us" -> 1e3;
                    case "ms" -> 1e6;
                    default -> 1e9;
                };
        double bandwidth = Double.parseDouble(link.group(3))
                * switch (link.group(4)) {
                    case "K" -> 1e3;
                    case "M" -> 1e6;
                    case "G" -> 1e9;
                    default -> 1;
                }
                / (link.group(5).equals("b") ? 8 : 1);
        if (bandwidth == 0) {
            throw invalid(word, "a bandwidth is above 0");
        }
        return new LinkModel(Math.round(latency), bandwidth);
    }

    private static EngineException invalid(String word, String why) {
        return new EngineException(EngineException.Code.CONFIGURATION, "argument --rehearse: '" + word + "': " + why);
    }

    /** Whether anything is modelled. */
    public boolean isOn() {
        return link != null || !slowRanks.isEmpty();
    }

    /** @throws EngineException CONFIGURATION when a slow rank is not among the server's */
    public void requireRanks(int ranks) {
        slowRanks.forEach((rank, factor) -> {
            if (rank >= ranks) {
                throw invalid("slow-rank=" + rank + ":" + factor, "the server has ranks 0 to " + (ranks - 1));
            }
        });
    }

    /** The collectives and messages of a supplier on the modelled network. */
    public CommunicatorSupplier communicators(CommunicatorSupplier real) {
        return link == null ? real : new RehearsedGroups(real, link, rank -> Clock.REAL);
    }

    /**
     * Devices that are slow where a rank is to be.
     *
     * @param firstRank number in the server of the supplier's rank 0
     */
    public DeviceSupplier devices(DeviceSupplier real, int firstRank) {
        if (slowRanks.isEmpty()) {
            return real;
        }
        return (rank, ranks) -> {
            Double factor = slowRanks.get(firstRank + rank);
            return factor == null ? real.open(rank, ranks) : SlowDevice.of(real.open(rank, ranks), factor, Clock.REAL);
        };
    }

    /** One line for logs, traces and results; empty when nothing is modelled. */
    public String note() {
        StringBuilder note = new StringBuilder();
        if (link != null) {
            note.append(String.format(
                    java.util.Locale.ROOT,
                    "link of %s us and %s GB/s",
                    number(link.latencyNanos() / 1e3),
                    number(link.bytesPerSecond() / 1e9)));
        }
        new TreeMap<>(slowRanks)
                .forEach((rank, factor) -> note.append(note.isEmpty() ? "" : ", ")
                        .append("rank ")
                        .append(rank)
                        .append(" slower by ")
                        .append(number(factor)));
        return note.toString();
    }

    private static String number(double value) {
        return new java.math.BigDecimal(value)
                .round(new java.math.MathContext(6))
                .stripTrailingZeros()
                .toPlainString();
    }
}
