import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Properties;

/** Connects to PostgreSQL with pgJDBC. */
public final class Connect {
    private static final String WHO_AM_I =
            "select current_user, coalesce(client_dn, '') from pg_stat_ssl where pid = pg_backend_pid()";

    public static void main(String[] args) throws SQLException {
        String[] words = {"user", "", "sslmode", "sslrootcert", "sslcert", "sslkey"};
        Properties settings = new Properties();
        settings.setProperty("loginTimeout", "10");
        for (int place = 0; place < words.length; place++) {
            String value = args[place + 2];
            if (!words[place].isEmpty() && !value.isEmpty()) {
                settings.setProperty(words[place], value);
            }
        }
        String url = "jdbc:postgresql://" + args[0] + ":" + args[1] + "/" + args[3];
        try (Connection connection = DriverManager.getConnection(url, settings);
                ResultSet row = connection.createStatement().executeQuery(WHO_AM_I)) {
            row.next();
            System.out.println("ok\t" + row.getString(1) + "\t" + row.getString(2));
        } catch (SQLException refused) {
            System.out.println(refused.getMessage());
            throw refused;
        }
    }
}
