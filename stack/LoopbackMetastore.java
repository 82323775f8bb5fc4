import java.net.InetSocketAddress;
import org.apache.hadoop.hive.conf.HiveConf;
import org.apache.hadoop.hive.metastore.HiveMetaStore;
import org.apache.hadoop.hive.metastore.IHMSHandler;
import org.apache.hadoop.hive.metastore.TSetIpAddressProcessor;
import org.apache.thrift.TException;
import org.apache.thrift.protocol.TProtocol;
import org.apache.thrift.server.ServerContext;
import org.apache.thrift.server.TServerEventHandler;
import org.apache.thrift.server.TThreadPoolServer;
import org.apache.thrift.transport.TServerSocket;
import org.apache.thrift.transport.TTransport;

/**
 * Hive's metastore on one address: `java -cp … LoopbackMetastore.java HOST PORT`.
 *
 * The class that Hive 2.3 ships for this always listens on every interface. The handler, the processor and the
 * protocol are Hive's own; only the socket differs.
 */
public class LoopbackMetastore {
    public static void main(String[] arguments) throws Exception {
        var address = new InetSocketAddress(arguments[0], Integer.parseInt(arguments[1]));
        var configuration = new HiveConf(HiveMetaStore.class);
        IHMSHandler handler = HiveMetaStore.newRetryingHMSHandler(
            new HiveMetaStore.HMSHandler("metastore", configuration, false), configuration);
        var server = new TThreadPoolServer(
            new TThreadPoolServer.Args(new TServerSocket(address)).processor(new TSetIpAddressProcessor<>(handler)));
        server.setServerEventHandler(new CloseStoreWithConnection(handler));
        server.serve();
    }

    /** Gives a connection's database session back when the connection ends. */
    private record CloseStoreWithConnection(IHMSHandler handler) implements TServerEventHandler {
        public void preServe() {}

        public ServerContext createContext(TProtocol input, TProtocol output) {
            return null;
        }

        public void deleteContext(ServerContext context, TProtocol input, TProtocol output) {
            try {
                handler.shutdown();
            } catch (TException failure) {
                throw new IllegalStateException("could not close a connection's database session", failure);
            }
        }

        public void processContext(ServerContext context, TTransport input, TTransport output) {}
    }
}
