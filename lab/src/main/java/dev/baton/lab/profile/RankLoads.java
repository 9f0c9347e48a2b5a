package dev.baton.lab.profile;

import dev.baton.lab.LabException;
import dev.baton.lab.control.ServerControl;
import dev.baton.protocol.log.DecodeLine;
import dev.baton.protocol.log.LogPrefix;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * What the ranks of some servers do at one moment.
 *
 * @param ranks in the order of servers and data-parallel ranks
 * @param atNanos when, by {@link System#nanoTime}
 */
public record RankLoads(List<Rank> ranks, long atNanos) {
    private static final int TAIL_BYTES = 1 << 18;
    private static final Duration SHORT = Duration.ofSeconds(5);

    /**
     * @param name server and rank
     * @param running requests
     * @param waiting requests
     * @param tokens KV tokens in use and queued
     * @param throughput generated tokens/s: since the reading before where it counts its tokens, else the last that it
     *     states, which may be old or hold idle time; 0 when it states none
     * @param generated tokens that it has generated since its start; -1 when it does not count them
     */
    public record Rank(String name, int running, int waiting, long tokens, double throughput, long generated) {}

    /** Now. */
    public RankLoads(List<Rank> ranks) {
        this(ranks, System.nanoTime());
    }

    /** The same, throughput being what was generated since a reading before. */
    public RankLoads since(RankLoads before) {
        double seconds = (atNanos - before.atNanos) / 1e9;
        Map<String, Long> generated = new TreeMap<>();
        before.ranks.forEach(rank -> generated.put(rank.name(), rank.generated()));
        List<Rank> now = ranks.stream()
                .map(rank -> {
                    long earlier = generated.getOrDefault(rank.name(), -1L);
                    boolean isCounted = seconds > 0 && earlier >= 0 && rank.generated() >= earlier;
                    return new Rank(
                            rank.name(),
                            rank.running(),
                            rank.waiting(),
                            rank.tokens(),
                            isCounted ? (rank.generated() - earlier) / seconds : rank.throughput(),
                            rank.generated());
                })
                .toList();
        return new RankLoads(now, atNanos);
    }

    /** Asks servers: {@code /get_load} for the ranks, {@code /get_server_info} for their throughput. */
    public static RankLoads read(ProfileTargets targets) throws InterruptedException {
        List<Rank> all = new ArrayList<>();
        targets.all(RankLoads::of).forEach(all::addAll);
        return new RankLoads(all);
    }

    static List<Rank> of(ServerControl server) {
        try {
            JsonNode loads = JsonMapper.shared().readTree(server.get("/get_load", SHORT));
            JsonNode states = server.serverInfo(SHORT).path("internal_states");
            List<Rank> ranks = new ArrayList<>();
            for (JsonNode load : loads) {
                int waiting = load.path("num_waiting_reqs").asInt(0);
                int rank = load.path("dp_rank").asInt(ranks.size());
                ranks.add(new Rank(
                        server.base().getAuthority() + " DP" + rank,
                        Math.max(0, load.path("num_reqs").asInt(0) - waiting),
                        waiting,
                        load.path("num_tokens").asLong(0),
                        states.path(ranks.size()).path("last_gen_throughput").asDouble(0),
                        states.path(ranks.size()).path("num_generated_tokens").asLong(-1)));
            }
            return ranks;
        } catch (JacksonException e) {
            throw new LabException(
                    LabException.Code.SERVER,
                    server.base() + "/get_load did not answer with JSON: " + e.getMessage(),
                    e);
        }
    }

    /**
     * The last decode line of each rank in log files that servers write to: for servers that are watched from beside.
     *
     * @throws LabException IO naming the file
     */
    public static RankLoads read(List<Path> logs) {
        Map<String, Rank> last = new TreeMap<>();
        for (Path log : logs) {
            tail(log)
                    .lines()
                    .forEach(text -> LogPrefix.parse(text)
                            .ifPresent(line -> DecodeLine.parse(line.message()).ifPresent(d -> {
                                String name =
                                        log.getFileName() + line.prefix().rank().format();
                                last.put(
                                        name,
                                        new Rank(
                                                name,
                                                d.runningRequests(),
                                                d.queuedRequests(),
                                                d.tokens(),
                                                d.generationThroughput(),
                                                -1));
                            })));
        }
        return new RankLoads(List.copyOf(last.values()));
    }

    /** The last whole lines of a file. */
    private static String tail(Path log) {
        try (SeekableByteChannel file = Files.newByteChannel(log)) {
            long from = Math.max(0, file.size() - TAIL_BYTES);
            ByteBuffer bytes = ByteBuffer.allocate((int) (file.size() - from));
            file.position(from);
            while (bytes.hasRemaining() && file.read(bytes) >= 0) {}
            String text = new String(bytes.array(), 0, bytes.position(), StandardCharsets.UTF_8);
            return from == 0 ? text : text.substring(text.indexOf('\n') + 1);
        } catch (IOException e) {
            throw new LabException(LabException.Code.IO, "cannot read the log " + log + ": " + e.getMessage(), e);
        }
    }

    /** A figure over all ranks; an idle server is balanced. */
    public double value(Condition.Figure figure) {
        return switch (figure) {
            case IMBALANCE -> {
                double mean = ranks.stream().mapToInt(Rank::running).average().orElse(0);
                yield mean == 0
                        ? 1
                        : ranks.stream().mapToInt(Rank::running).max().orElse(0) / mean;
            }
            case RUNNING -> ranks.stream().mapToInt(Rank::running).sum();
            case WAITING -> ranks.stream().mapToInt(Rank::waiting).sum();
            case THROUGHPUT -> ranks.stream().mapToDouble(Rank::throughput).sum();
        };
    }

    /** One bar a rank, for a terminal. */
    public String dashboard() {
        int most = Math.max(1, ranks.stream().mapToInt(Rank::running).max().orElse(1));
        StringBuilder text = new StringBuilder();
        for (Rank r : ranks) {
            int length = (int) Math.round(30.0 * r.running() / most);
            text.append(String.format(
                    Locale.ROOT,
                    "%-28s %-30s %5d running %5d waiting %9d tokens %9.0f tok/s%n",
                    r.name(),
                    "#".repeat(length),
                    r.running(),
                    r.waiting(),
                    r.tokens(),
                    r.throughput()));
        }
        return text.append(String.format(
                        Locale.ROOT,
                        "imbalance %.2f (busiest rank over the mean)%n",
                        value(Condition.Figure.IMBALANCE)))
                .toString();
    }
}
