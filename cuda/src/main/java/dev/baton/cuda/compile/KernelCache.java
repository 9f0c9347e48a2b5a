package dev.baton.cuda.compile;

import dev.baton.tensor.TensorException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Machine code of the kernel sources in this module's resources, kept on disk by a digest of source, options, compiler
 * and architecture. Processes may share the folder: a file appears whole or not at all, and one that was damaged since is
 * made anew. A folder that cannot be written costs the compilation at every start, nothing else.
 */
public final class KernelCache {
    private static final Logger LOG = System.getLogger(KernelCache.class.getName());
    /** Environment variable: options of the compiler besides Baton's own. */
    static final String OPTIONS_VARIABLE = "BATON_KERNEL_OPTIONS";

    private static final String FOLDER = "/dev/baton/cuda/kernels/";
    private static final List<String> OPTIONS =
            List.of("--std=c++17", "-default-device", "--extra-device-vectorization");

    private static final int DIGEST_BYTES = 32;
    /** Folders that could not be written. */
    private static final Set<Path> COMPLAINED = ConcurrentHashMap.newKeySet();
    /** A line of a source that stands for another file of the folder. */
    private static final Pattern INCLUDE = Pattern.compile("^#include \"(.+)\"$", Pattern.MULTILINE);

    private final Path folder;

    public KernelCache(Path folder) {
        this.folder = folder;
    }

    /** {@code BATON_KERNEL_CACHE}, else {@code ~/.cache/baton/kernels}. */
    public static KernelCache standard() {
        String told = System.getenv("BATON_KERNEL_CACHE");
        return new KernelCache(
                told != null ? Path.of(told) : Path.of(System.getProperty("user.home"), ".cache", "baton", "kernels"));
    }

    /** The source as the compiler gets it: what all kernels share, then this file with what it includes. */
    public static String source(String name) {
        String own = read(name);
        String whole = INCLUDE.matcher(own).replaceAll(line -> {
            long next = own.substring(0, line.end()).lines().count() + 1;
            String included = begin(line.group(1), 1) + read(line.group(1)) + begin(name, next);
            return Matcher.quoteReplacement(included.stripTrailing());
        });
        return read("common.cuh") + begin(name, 1) + whole;
    }

    /** From here on the compiler names this file and counts from this line. */
    private static String begin(String name, long line) {
        return "\n#line " + line + " \"" + name + "\"\n";
    }

    private static String read(String name) {
        try (InputStream in = KernelCache.class.getResourceAsStream(FOLDER + name)) {
            if (in == null) {
                throw new TensorException(TensorException.Code.UNAVAILABLE, "no kernel source " + name);
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new TensorException(TensorException.Code.UNAVAILABLE, "kernel source " + name + ": " + e, e);
        }
    }

    /**
     * Machine code of one source file. {@code BATON_KERNEL_OPTIONS} are options of the compiler besides, such as {@code
     * -lineinfo} for a tool that names source lines.
     *
     * @param architecture such as {@code sm_90a}
     */
    public byte[] code(String name, String architecture) {
        String source = source(name);
        List<String> options = new java.util.ArrayList<>(OPTIONS);
        options.add("--gpu-architecture=" + architecture);
        options.addAll(List.of(
                System.getenv().getOrDefault(OPTIONS_VARIABLE, "").strip().split("\\s+")));
        options.removeIf(String::isEmpty);
        byte[] key = digest((Nvrtc.version() + options + source).getBytes(StandardCharsets.UTF_8));
        Path file =
                folder.resolve(name.replace(".cu", "") + "-" + HexFormat.of().formatHex(key, 0, 12) + ".kernels");
        byte[] known = kept(file);
        if (known != null) {
            return known;
        }
        byte[] code = Nvrtc.compile(source, name, options);
        keep(file, code);
        return code;
    }

    /** What a file holds; null when there is none, or one that is not as it was written. The driver would not notice. */
    static byte @Nullable [] kept(Path file) {
        try {
            if (!Files.isReadable(file)) {
                return null;
            }
            byte[] all = Files.readAllBytes(file);
            if (all.length > DIGEST_BYTES) {
                byte[] code = Arrays.copyOfRange(all, DIGEST_BYTES, all.length);
                if (Arrays.equals(digest(code), 0, DIGEST_BYTES, all, 0, DIGEST_BYTES)) {
                    return code;
                }
            }
            LOG.log(Level.WARNING, "{0} is damaged and is made anew", file);
        } catch (IOException e) {
            LOG.log(Level.WARNING, "{0} cannot be read and is made anew: {1}", file, e);
        }
        return null;
    }

    /** Writes a file in one move: the code behind its digest. */
    static void keep(Path file, byte[] code) {
        Path folder = file.getParent();
        try {
            Files.createDirectories(folder);
            Path whole = Files.createTempFile(folder, "new", ".tmp");
            try (OutputStream out = Files.newOutputStream(whole)) {
                out.write(digest(code));
                out.write(code);
            }
            Files.move(whole, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            if (COMPLAINED.add(folder)) {
                LOG.log(
                        Level.WARNING,
                        "kernels are compiled at every start, because they cannot be kept in {0} ({1}): make it"
                                + " writable, or name another folder in BATON_KERNEL_CACHE",
                        folder,
                        e);
            }
        }
    }

    private static byte[] digest(byte[] bytes) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(bytes);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
