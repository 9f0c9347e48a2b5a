package dev.baton.cuda.compile;

import dev.baton.tensor.TensorException;
import java.io.IOException;
import java.io.InputStream;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;

/**
 * Machine code of the kernel sources in this module's resources, kept on disk by a digest of source, options, compiler
 * and architecture. Processes may share the folder: a file appears whole or not at all. A folder that cannot be written
 * costs the compilation at every start, nothing else.
 */
public final class KernelCache {
    private static final Logger LOG = System.getLogger(KernelCache.class.getName());
    private static final String FOLDER = "/dev/baton/cuda/kernels/";
    private static final List<String> OPTIONS =
            List.of("--std=c++17", "-default-device", "--extra-device-vectorization");

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

    /** The source as the compiler gets it: what all kernels share, then this file. */
    public static String source(String name) {
        return read("common.cuh") + "\n#line 1 \"" + name + "\"\n" + read(name);
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
     * Machine code of one source file.
     *
     * @param architecture such as {@code sm_90a}
     */
    public byte[] code(String name, String architecture) {
        String source = source(name);
        List<String> options = new java.util.ArrayList<>(OPTIONS);
        options.add("--gpu-architecture=" + architecture);
        Path file =
                folder.resolve(name.replace(".cu", "") + "-" + digest(Nvrtc.version() + options + source) + ".cubin");
        try {
            if (Files.isReadable(file)) {
                return Files.readAllBytes(file);
            }
        } catch (IOException e) {
            LOG.log(Level.DEBUG, "{0} cannot be read and is made anew: {1}", file, e);
        }
        byte[] code = Nvrtc.compile(source, name, options);
        keep(file, code);
        return code;
    }

    private void keep(Path file, byte[] code) {
        try {
            Files.createDirectories(folder);
            Path whole = Files.createTempFile(folder, "new", ".tmp");
            Files.write(whole, code);
            Files.move(whole, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            LOG.log(Level.DEBUG, "kernels are not kept in {0}: {1}", folder, e);
        }
    }

    private static String digest(String text) {
        try {
            byte[] sum = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(sum, 0, 12);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
