package dev.baton.lab.profile;

import dev.baton.lab.LabException;
import dev.baton.lab.control.ServerControl;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The servers that a profile call goes to. A router stands for its workers: most routers do not pass profile calls on, so
 * the workers are asked themselves.
 */
public final class ProfileTargets implements AutoCloseable {
    private static final Duration SHORT = Duration.ofSeconds(10);
    /** What SGLang and Baton answer a second start. */
    private static final String IN_PROGRESS = "already in progress";

    private final List<ServerControl> servers;
    private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();

    private ProfileTargets(List<ServerControl> servers) {
        this.servers = servers;
    }

    /** The servers at these addresses; an address that lists workers is replaced by them. */
    public static ProfileTargets of(List<URI> addresses) {
        Set<URI> found = new LinkedHashSet<>();
        for (URI address : addresses) {
            List<URI> workers = workers(address);
            found.addAll(workers.isEmpty() ? List.of(address) : workers);
        }
        return new ProfileTargets(found.stream().map(ServerControl::new).toList());
    }

    private static List<URI> workers(URI address) {
        List<URI> workers = new ArrayList<>();
        try (ServerControl control = new ServerControl(address)) {
            JsonNode list = JsonMapper.shared().readTree(control.get("/workers", SHORT));
            list.path("workers").forEach(w -> {
                if (w.path("url").isString()) {
                    workers.add(URI.create(w.path("url").asString()));
                }
            });
        } catch (LabException | JacksonException | IllegalArgumentException e) {
            return List.of(); // Not a router; a server that is down is found by the call itself.
        }
        return workers;
    }

    /** The servers. */
    public List<ServerControl> servers() {
        return servers;
    }

    /** What is done to one server. */
    @FunctionalInterface
    public interface Call<T> {
        T on(ServerControl server) throws InterruptedException;
    }

    /**
     * Calls all servers at once and waits for all of them, so that their windows overlap.
     *
     * @throws LabException SERVER when any failed, naming it
     */
    public <T> List<T> all(Call<T> call) throws InterruptedException {
        List<Callable<T>> tasks =
                servers.stream().<Callable<T>>map(s -> () -> call.on(s)).toList();
        List<T> answers = new ArrayList<>();
        for (Future<T> future : threads.invokeAll(tasks)) {
            try {
                answers.add(future.get());
            } catch (ExecutionException e) {
                if (e.getCause() instanceof LabException fault) {
                    throw fault;
                }
                throw new LabException(LabException.Code.SERVER, "a profile call failed: " + e.getCause(), e);
            }
        }
        return answers;
    }

    /**
     * What became of a start.
     *
     * @param recording servers that record now
     * @param already servers that had a window open, which goes on as it was begun
     */
    public record Started(List<URI> recording, List<URI> already) {}

    /**
     * Starts a profile on all servers. One that records already is left alone: its window is somebody's.
     *
     * @param fields body of {@code /start_profile}
     * @throws LabException SERVER when any failed otherwise, naming it
     */
    public Started start(Map<String, Object> fields, Duration deadline) throws InterruptedException {
        List<Boolean> starts = all(server -> {
            try {
                server.startProfile(fields, deadline);
                return true;
            } catch (LabException e) {
                if (e.code() == LabException.Code.SERVER
                        && String.valueOf(e.getMessage()).contains(IN_PROGRESS)) {
                    return false;
                }
                throw e;
            }
        });
        return new Started(where(starts, true), where(starts, false));
    }

    private List<URI> where(List<Boolean> answers, boolean wanted) {
        return IntStream.range(0, answers.size())
                .filter(i -> answers.get(i) == wanted)
                .mapToObj(i -> servers.get(i).base())
                .toList();
    }

    /**
     * Ends the windows of servers that run nothing: one that counts steps would else stay open until requests come, and
     * refuse the next.
     *
     * @param deadline for each answer; an idle server that writes its trace takes a while
     * @return the servers whose window was ended
     */
    public List<URI> stopIdle(Duration deadline) throws InterruptedException {
        List<Boolean> ended = all(server -> {
            try {
                boolean isIdle = RankLoads.of(server).stream().allMatch(r -> r.running() == 0 && r.waiting() == 0);
                if (isIdle) {
                    server.post("/stop_profile", "{}", deadline);
                }
                return isIdle;
            } catch (LabException e) {
                return false; // Its window is over, as it should be.
            }
        });
        return where(ended, true);
    }

    @Override
    public void close() {
        threads.shutdownNow();
        servers.forEach(ServerControl::close);
    }
}
