import java.net.InetSocketAddress;
import java.util.LinkedHashSet;
import java.util.Properties;
import java.util.Set;
import javax.jdo.JDOHelper;
import javax.xml.parsers.DocumentBuilderFactory;
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
import org.datanucleus.api.jdo.JDOPersistenceManagerFactory;
import org.datanucleus.store.schema.SchemaAwareStoreManager;
import org.w3c.dom.Element;

/**
 * Hive's metastore on one address: `java -cp … LoopbackMetastore.java HOST PORT`.
 *
 * The class that Hive 2.3 ships for this always listens on every interface. The handler, the processor and the
 * protocol are Hive's own; only the socket differs.
 */
public class LoopbackMetastore {
    private static final String URL = "javax.jdo.option.ConnectionURL";

    public static void main(String[] arguments) throws Exception {
        var address = new InetSocketAddress(arguments[0], Integer.parseInt(arguments[1]));
        var configuration = new HiveConf(HiveMetaStore.class);
        if (configuration.get(URL, "").startsWith("jdbc:postgresql:")) {
            createTables(configuration);
        }
        IHMSHandler handler = HiveMetaStore.newRetryingHMSHandler(
            new HiveMetaStore.HMSHandler("metastore", configuration, false), configuration);
        var server = new TThreadPoolServer(
            new TThreadPoolServer.Args(new TServerSocket(address)).processor(new TSetIpAddressProcessor<>(handler)));
        server.setServerEventHandler(new CloseStoreWithConnection(handler));
        server.serve();
    }

    /**
     * Makes the tables that the database lacks. By itself Hive makes each when it first writes a row of it, by a second
     * connection in the midst of a transaction, and in PostgreSQL the two wait for each other for ever.
     */
    private static void createTables(HiveConf configuration) throws Exception {
        var properties = new Properties();
        for (var setting : configuration) {
            if (setting.getKey().contains("datanucleus") || setting.getKey().contains("jdo")) {
                properties.setProperty(setting.getKey(), configuration.get(setting.getKey()));
            }
        }
        var factory = (JDOPersistenceManagerFactory) JDOHelper.getPersistenceManagerFactory(properties);
        var store = (SchemaAwareStoreManager) factory.getNucleusContext().getStoreManager();
        store.createSchemaForClasses(storedClasses(), new Properties());
        factory.close();
    }

    /** The classes that Hive keeps in its database, as its own mapping names them. */
    private static Set<String> storedClasses() throws Exception {
        var reader = DocumentBuilderFactory.newInstance();
        reader.setFeature("http://apache.org/xml/features/nonvalidating/load-external-dtd", false);
        try (var mapping = HiveMetaStore.class.getResourceAsStream("/package.jdo")) {
            var classes = reader.newDocumentBuilder().parse(mapping).getElementsByTagName("class");
            var names = new LinkedHashSet<String>();
            for (int number = 0; number < classes.getLength(); number++) {
                var found = (Element) classes.item(number);
                names.add(((Element) found.getParentNode()).getAttribute("name") + "." + found.getAttribute("name"));
            }
            return names;
        }
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
